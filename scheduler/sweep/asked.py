"""All trials that a sweep file asks for now: by its grids, and by what lets it grow, as far as known."""

from collections.abc import Sequence

from scheduler.sweep.blends import stored_blends
from scheduler.sweep.expand import expand
from scheduler.sweep.repeat_plan import repeats_asked
from scheduler.sweep.search.counting import asked_of
from scheduler.sweep.spec import SweepSpec
from shared.domain.trial import TrialConfig
from shared.store import Proposal, Trial


def asked_configs(
    spec: SweepSpec, trials: Sequence[Trial], proposals: Sequence[Proposal]
) -> list[TrialConfig]:
    """Pure: what `make sweep` runs where it has not succeeded yet; `trials`: those stored of the sweep."""
    return [
        *expand(spec),
        *asked_of(spec, trials, proposals),
        *repeats_asked(spec, trials),
        *stored_blends(spec, trials),
    ]
