"""Rendered views, kept while nothing changes, so that many readers cost no more than one."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

# Readers who wait for news ask every few seconds; the database is asked this often for all of them together.
STATE_SECONDS = 2.0
# While trials are open, times in a view (since when, how long still) run on without a change.
_TICK_SECONDS = 15.0
# A refresh of an open page may be this old, and as many times older as it takes to make all views that are
# open: however many tabs there are, together they cost at most a fiftieth of a core.
_LEAST_AGE_SECONDS = 4.0
_AGE_PER_SECOND = 50.0
# Who keeps a view open asks for it every few seconds.
_OPEN_SECONDS = 30.0
_MOST_KEPT = 64


@dataclass(frozen=True)
class Rendered:
    """The body of a view, its tag, and of which state of the database it is."""

    body: str
    tag: str
    state: str
    made_at: float
    seconds: float
    asked_at: float


class RenderedViews:
    """Renders a view unless it is there already as of this state; safe to call from several threads."""

    def __init__(
        self, ask_state: Callable[[], tuple[str, bool]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask_state = ask_state
        self._clock = clock
        self._state = ""
        self._asked_at = -1e9
        self._kept: OrderedDict[str, Rendered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, address: str, make: Callable[[], str], *, is_refresh: bool = False) -> Rendered:
        """The view of an address; a refresh of an open page takes one that is a little older too."""
        with self._lock:
            kept = self._kept.get(address)
            if kept is not None and is_refresh:
                now = self._clock()
                kept = self._kept[address] = replace(kept, asked_at=now)
                if now - kept.made_at < max(_LEAST_AGE_SECONDS, _AGE_PER_SECOND * self._open_seconds(now)):
                    return kept
            state = self._current_state(max_age_seconds=STATE_SECONDS if is_refresh else 0.0)
            if kept is None or kept.state != state:
                began = self._clock()
                body = make()
                tag = '"' + hashlib.sha256(body.encode()).hexdigest()[:32] + '"'
                now = self._clock()
                kept = Rendered(body, tag, state, made_at=now, seconds=now - began, asked_at=now)
            self._kept[address] = kept
            self._kept.move_to_end(address)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return kept

    def _open_seconds(self, now: float) -> float:
        """How long it takes to make each view that is open once."""
        return sum(one.seconds for one in self._kept.values() if now - one.asked_at < _OPEN_SECONDS)

    def _current_state(self, max_age_seconds: float) -> str:
        now = self._clock()
        if now - self._asked_at >= max_age_seconds:
            state, is_open = self._ask_state()
            self._state = f"{state} {int(now / _TICK_SECONDS) if is_open else ''}"
            self._asked_at = now
        return self._state
