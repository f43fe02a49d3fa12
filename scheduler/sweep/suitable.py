"""A sweep file beside the data that it is to run on: what cannot be asked of them is refused."""

from dataclasses import replace

from scheduler.sweep.expand import expand
from scheduler.sweep.search.space import space_of
from scheduler.sweep.spec import SweepSpec
from shared.datasets import Dataset
from shared.errors import SpecError


def suited_to(spec: SweepSpec, dataset: Dataset) -> SweepSpec:
    """The sweep as it runs on these data.

    Where nobody rated, every observation counts as relevant, and no baseline predicts ratings. Raises
    SpecError, by name, for families that predict ratings then, and where no rating can count as relevant; and
    for a table of a search whose values never go together.
    """
    if spec.search.method != "grid":
        space_of(spec).require_possible()
    if dataset.is_implicit:
        return _suited_to_implicit(spec, dataset)
    threshold = spec.protocol.relevance_threshold
    low, high = dataset.rating_range
    if spec.protocol.ranks and threshold != "none" and high < threshold:
        raise SpecError(
            f"sweep {spec.name}: an item is relevant from a rating of {threshold:g} up, and the ratings of "
            f'{dataset.name} are from {low:g} to {high:g}. Write relevance_threshold = … ("none": all are '
            "relevant) under [protocol] of a sweep file of your own."
        )
    return spec


def _suited_to_implicit(spec: SweepSpec, dataset: Dataset) -> SweepSpec:
    if not spec.protocol.ranks:
        raise SpecError(
            f"sweep {spec.name}: {dataset.name} holds no ratings, and its objective "
            f"{spec.protocol.objective} judges predicted ratings. Take a sweep whose objective judges lists, "
            "such as SWEEP=lists."
        )
    protocol = replace(spec.protocol, relevance_threshold="none")
    baselines = tuple(family for family in spec.baselines if not family().predicts_ratings)
    suited = replace(spec, protocol=protocol, baselines=baselines)
    configs = [*expand(suited), *(space_of(suited).kinds() if spec.search.method != "grid" else ())]
    unfit = [config.label for config in configs if config.architecture.predicts_ratings]
    if unfit:
        shown = ", ".join(unfit[:3]) + (f" and {len(unfit) - 3} more" if len(unfit) > 3 else "")
        raise SpecError(
            f"sweep {spec.name}: {dataset.name} holds no ratings, and {shown} learn to predict ratings. Take "
            "families and losses that rank, as SWEEP=lists has."
        )
    return suited
