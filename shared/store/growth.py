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

# What a sweep grows by, in short: as long as it is the same, a look would decide the same.
_STATES = text("""
    select
        sweeps.sweep_id,
        concat_ws(
            ' ', sweeps.spec_hash, sweeps.growing_since, count(trials.trial_id), max(trials.trial_id),
            sum(hashtext(concat(trials.trial_id, ' ', trials.status))),
            -- A search may end by its time alone.
            clock_timestamp() - sweeps.growing_since >= make_interval(
                secs => 60 * cast(sweeps.spec -> 'search' ->> 'budget_minutes' as double precision)
            )
        ) as state
    from sweeps
    left join trials on trials.sweep_id = sweeps.sweep_id and trials.refit_of is null
    where sweeps.growing_since is not null
    group by sweeps.sweep_id
    order by sweeps.sweep_id
""")
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
class GrowthState:
    """A sweep that grows; `state` differs wherever its file or the status of a trial does."""

    sweep_id: int
    state: str


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


def sweep_proposals(engine: Engine, sweep_id: int) -> list[Proposal]:
    """What the search of a sweep proposed, in order."""
    with transaction(engine) as connection:
        return list(_read_proposals(connection, sweep_id))


def growth_states(engine: Engine) -> list[GrowthState]:
    """The sweeps that grow, as they are now."""
    with transaction(engine) as connection:
        return [GrowthState(**row._asdict()) for row in connection.execute(_STATES)]


def _read_proposals(connection: Connection, sweep_id: int) -> tuple[Proposal, ...]:
    rows = connection.execute(_PROPOSALS, {"sweep_id": sweep_id})
    return tuple(Proposal(**row._asdict()) for row in rows)


@contextmanager
def growing_sweep(engine: Engine, sweep_id: int) -> Iterator[Turn | None]:
    """The turn of a sweep, within one transaction; None where it does not grow or is somebody else's turn."""
    with transaction(engine) as connection:
        key = {"sweep_id": sweep_id}
        turn = connection.execute(_TAKE_TURN, key).first()
        if turn is None:
            yield None
            return
        proposals = _read_proposals(connection, sweep_id)
        trials = tuple(read_trials(connection, sweep_id))
        sweep = read_sweep(connection, sweep_id)
        yield Turn(connection, GrowingSweep(sweep, trials, proposals, turn.looked_at))
