"""Sweeps that grow: whose turn it is to add trials, what a search proposed, and their end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.records import AskedBy, Sweep, Trial
from shared.domain.trial import TrialConfig
from shared.store.database import transaction
from shared.store.sweeps import read_sweep
from shared.store.trials import insert_trials, read_trials

_GROWING = text("select sweep_id from sweeps where growing_since is not null order by sweep_id")
_IS_GROWING = text("""
    select exists (select from sweeps where sweep_id = :sweep_id and growing_since is not null)
""")
_BEGIN = text("""
    update sweeps set growing_since = now() where sweep_id = :sweep_id and growing_since is null
""")
# Whoever comes second does not wait: the first one sees the same.
_TAKE_TURN = text("""
    select clock_timestamp() as looked_at from sweeps
    where sweep_id = :sweep_id and growing_since is not null
    for no key update skip locked
""")
_COMPLETE = text("update sweeps set growing_since = null where sweep_id = :sweep_id")
_PROPOSALS = text("""
    select proposals.number, proposals.branch, proposals.parameters, trials.config_hash
    from proposals
    join trials using (trial_id)
    where proposals.sweep_id = :sweep_id
    order by proposals.number
""")
_PROPOSE = text("""
    insert into proposals (sweep_id, number, branch, parameters, trial_id)
    select :sweep_id, :number, :branch, :parameters, trials.trial_id
    from trials
    where trials.sweep_id = :sweep_id and trials.config_hash = :config_hash and trials.refit_of is null
""").bindparams(bindparam("parameters", type_=JSONB))


@dataclass(frozen=True)
class Proposal:
    """What a search proposed: number from 1, the branch of its space, the values, and the trial they make."""

    number: int
    branch: int
    parameters: Mapping[str, Any]
    config_hash: str


@dataclass(frozen=True)
class GrowingSweep:
    """A sweep with all that decides what is next: its trials without refits, in order, and its proposals.

    `looked_at`: when it was read, by the clock of the database.
    """

    sweep: Sweep
    trials: tuple[Trial, ...]
    proposals: tuple[Proposal, ...]
    looked_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Turn:
    """The right to let a sweep grow, until the transaction ends."""

    def __init__(self, connection: Connection, sweep: GrowingSweep) -> None:
        self._connection = connection
        self.sweep = sweep

    def add(
        self, asked_by: AskedBy, configs: Sequence[TrialConfig], proposals: Sequence[Proposal] = ()
    ) -> None:
        """Queue what the sweep does not have yet, and note the proposals, whose trials are there by then."""
        sweep_id = self.sweep.sweep.sweep_id
        insert_trials(self._connection, sweep_id, configs, asked_by=asked_by)
        for one in proposals:
            row = {"sweep_id": sweep_id, "number": one.number, "branch": one.branch}
            self._connection.execute(
                _PROPOSE, {**row, "parameters": dict(one.parameters), "config_hash": one.config_hash}
            )

    def complete(self) -> None:
        """Nothing more will be added; what runs may still run."""
        self._connection.execute(_COMPLETE, {"sweep_id": self.sweep.sweep.sweep_id})


def begin_growing(engine: Engine, sweep_id: int) -> None:
    """Let the scheduler add trials by itself from now on; one that grows already goes on."""
    with transaction(engine) as connection:
        connection.execute(_BEGIN, {"sweep_id": sweep_id})


def is_growing(engine: Engine, sweep_id: int) -> bool:
    """Whether more trials may be added to a sweep."""
    with transaction(engine) as connection:
        return bool(connection.execute(_IS_GROWING, {"sweep_id": sweep_id}).scalar_one())


def growing_sweeps(engine: Engine) -> list[int]:
    """The ids of the sweeps that grow."""
    with transaction(engine) as connection:
        return list(connection.scalars(_GROWING))


@contextmanager
def growing_sweep(engine: Engine, sweep_id: int) -> Iterator[Turn | None]:
    """The turn of a sweep, within one transaction; None where it does not grow or is somebody else's turn."""
    with transaction(engine) as connection:
        key = {"sweep_id": sweep_id}
        turn = connection.execute(_TAKE_TURN, key).first()
        if turn is None:
            yield None
            return
        proposals = tuple(Proposal(**row._asdict()) for row in connection.execute(_PROPOSALS, key))
        trials = tuple(read_trials(connection, sweep_id))
        sweep = read_sweep(connection, sweep_id)
        yield Turn(connection, GrowingSweep(sweep, trials, proposals, turn.looked_at))
