"""The one loop that waits: it asks again and again until the answer will do or the time is over."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

Answer = TypeVar("Answer")


def ask_until(
    ask: Callable[[], Answer],
    is_enough: Callable[[Answer], bool],
    timeout_seconds: float,
    *,
    pause_seconds: float = 0.05,
) -> Answer:
    """The first answer that is enough, or the last one when the time is over; its errors pass at once."""

    def last_answer(state: RetryCallState) -> Answer:
        assert state.outcome is not None  # noqa: S101  It has been asked once at least.
        answer: Answer = state.outcome.result()
        return answer

    retrying = Retrying(
        retry=retry_if_result(lambda answer: not is_enough(answer)),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_fixed(pause_seconds),
        retry_error_callback=last_answer,
    )
    return retrying(ask)
