"""What a stage of a growing sweep asks for."""

from collections.abc import Callable
from dataclasses import dataclass

from scheduler.sweep.spec import SweepSpec
from shared.domain.trial import TrialConfig
from shared.store import GrowingSweep, Proposal


@dataclass(frozen=True)
class Step:
    """What a stage asks for at a look: trials to add, as proposals where it searches.

    `is_over`: it will never ask for more of this sweep as it stands, so that the next stage may begin.
    """

    configs: tuple[TrialConfig, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    is_over: bool = True


# Pure: the sweep file and the sweep with all its trials -> what is next. One that has nothing to do is over.
Stage = Callable[[SweepSpec, GrowingSweep], Step]
