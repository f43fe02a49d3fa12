"""The space of a search: every table of its file is a branch with axes of its own."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice, product
from typing import Any

import numpy as np

from scheduler.sweep.expand import make_trial, ordered_axes
from scheduler.sweep.search.axes import Axis, Range
from scheduler.sweep.spec import FamilyTable, SweepSpec
from shared.domain.families import FAMILIES
from shared.domain.identity import canonical_hash
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from shared.store import Proposal, Trial

# So many combinations are tried before a table counts as impossible, and drawn to tell what one costs.
_N_DRAWN = 200
# A table of more combinations counts as one without an end: to count them would take seconds.
_MOST_COUNTED = 2_000


@dataclass(frozen=True)
class Point:
    """A place in the space: the branch, and the value of each axis that it varies."""

    branch: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Branch:
    """One table: the axes that it varies, in the order of the fields, and the values of the others."""

    table: FamilyTable
    training: Mapping[str, Any]
    axes: Mapping[str, Axis]
    fixed: Mapping[str, Any]

    @property
    def size(self) -> int | None:
        """How many combinations it has; None: no end of them."""
        sizes = [axis.size if isinstance(axis, Range) else len(axis) for axis in self.axes.values()]
        return None if None in sizes else math.prod(size for size in sizes if size)

    def config(self, parameters: Mapping[str, Any]) -> TrialConfig:
        """The trial at a point; raises SpecError where the values do not go together."""
        point = {**self.fixed, **parameters}
        return make_trial(FAMILIES[self.table.family], self.training, point, self.table.place)

    def combinations(self) -> Iterator[dict[str, Any]]:
        """All of them in order; only of a branch that has an end."""
        axes = (_whole(axis) if isinstance(axis, Range) else axis for axis in self.axes.values())
        for values in product(*axes):
            yield dict(zip(self.axes, values, strict=True))

    def draw(self, random: np.random.Generator) -> dict[str, Any]:
        """One at random, every value alike; on the logarithm where the scale is that."""
        return {
            name: axis.draw(random) if isinstance(axis, Range) else axis[random.integers(len(axis))]
            for name, axis in self.axes.items()
        }

    def kinds(self) -> Iterator[dict[str, Any]]:
        """Combinations in which every choice that is no number is met, with the first of all numbers."""
        axes = (_kinds(axis) for axis in self.axes.values())
        for values in product(*axes):
            yield dict(zip(self.axes, values, strict=True))

    def find(self, config: TrialConfig) -> dict[str, Any] | None:
        """The parameters of a configuration; None where it is not of this branch.

        A setting that means nothing to it, or that is what its family takes anyway, is stored as its
        default, which the axis may not have: then the first value that makes the same trial stands for it.
        """
        if config.family != self.table.family:
            return None
        axes = (
            (value,) if (value := _value(config, name)) in axis else _candidates(axis)
            for name, axis in self.axes.items()
        )
        for values in islice(product(*axes), _N_DRAWN):
            parameters = dict(zip(self.axes, values, strict=True))
            if self._makes(parameters, config):
                return parameters
        return None

    def agrees(self, parameters: Mapping[str, Any], config: TrialConfig) -> bool:
        """Whether parameters that were stored are of this branch as it is now, and make this trial."""
        is_of_it = parameters.keys() == self.axes.keys() and all(
            value in self.axes[name] for name, value in parameters.items()
        )
        return is_of_it and self._makes(parameters, config)

    def _makes(self, parameters: Mapping[str, Any], config: TrialConfig) -> bool:
        try:
            return self.config(parameters).config_hash == config.config_hash
        except SpecError:
            return False


@dataclass(frozen=True)
class Space:
    """All branches. What follows from a configuration alone is remembered: it is never a truth of its own."""

    branches: tuple[Branch, ...]
    _located: dict[tuple[str, int], Point | None] = field(default_factory=dict, repr=False, compare=False)
    _hashes: dict[int, frozenset[str] | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> int | None:
        """How many combinations there are at most; None: no end of them."""
        sizes = [branch.size for branch in self.branches]
        return None if None in sizes else sum(size for size in sizes if size)

    def locate(self, trial: Trial, proposal: Proposal | None) -> Point | None:
        """Where a trial lies, by what was proposed where that is known; None: outside of this space."""
        key = (trial.config_hash, proposal.number if proposal else 0)
        if key not in self._located:
            self._located[key] = self._locate(trial.config, proposal)
        return self._located[key]

    def _locate(self, config: TrialConfig, proposal: Proposal | None) -> Point | None:
        if proposal and proposal.branch < len(self.branches):
            stored = {name: _from_json(value) for name, value in proposal.parameters.items()}
            branch = self.branches[proposal.branch]
            if branch.table.family == config.family and branch.agrees(stored, config):
                return Point(proposal.branch, stored)
        for number, branch in enumerate(self.branches):
            parameters = branch.find(config)
            if parameters is not None:
                return Point(number, parameters)
        return None

    def hashes(self, number: int) -> frozenset[str] | None:
        """Of the different trials of a branch; None where they are too many to count."""
        if number not in self._hashes:
            self._hashes[number] = self._count(self.branches[number])
        return self._hashes[number]

    def _count(self, branch: Branch) -> frozenset[str] | None:
        size = branch.size
        if size is None or size > _MOST_COUNTED:
            return None
        found: set[str] = set()
        for parameters in branch.combinations():
            with suppress(SpecError):
                found.add(branch.config(parameters).config_hash)
        return frozenset(found)

    def require_possible(self) -> None:
        """Raise SpecError, with the place, for a table whose values never go together."""
        for branch in self.branches:
            random = np.random.default_rng(0)
            drawn = (branch.draw(random) for _ in range(_N_DRAWN))
            first: SpecError | None = None
            for parameters in chain(branch.kinds(), drawn):
                try:
                    branch.config(parameters)
                except SpecError as error:
                    first = first or error
                else:
                    break
            else:
                raise first or SpecError(f"{branch.table.place}: no combination of its values is possible")

    def kinds(self) -> Iterator[TrialConfig]:
        """Trials of every branch and every choice that is no number, as far as they are possible."""
        for branch in self.branches:
            for parameters in branch.kinds():
                with suppress(SpecError):
                    yield branch.config(parameters)

    def drawn(self) -> list[TrialConfig]:
        """Trials at random, as many of each branch, the same ones every time: what one costs on average."""
        random = np.random.default_rng(0)
        configs = []
        for branch in self.branches:
            for _ in range(max(_N_DRAWN // len(self.branches), 1)):
                with suppress(SpecError):
                    configs.append(branch.config(branch.draw(random)))
        return configs


def space_of(spec: SweepSpec) -> Space:
    """The space of a sweep file; one that was read before is not made again."""
    return _space_of(_Keyed(canonical_hash(dict(spec.document)), spec))


@dataclass(frozen=True)
class _Keyed:
    key: str
    spec: SweepSpec = field(compare=False)


@lru_cache(maxsize=64)
def _space_of(keyed: _Keyed) -> Space:
    return Space(tuple(_branch(table, keyed.spec.training) for table in keyed.spec.tables))


def _branch(table: FamilyTable, training: Mapping[str, Any]) -> Branch:
    axes: dict[str, Axis] = {}
    fixed: dict[str, Any] = {}
    for name in ordered_axes(table):
        axis = table.axes[name]
        values = axis if isinstance(axis, Range) else tuple(dict.fromkeys(axis))
        if isinstance(values, Range) or len(values) > 1:
            axes[name] = values
        else:
            fixed[name] = values[0]
    return Branch(table, training, axes, fixed)


def to_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they are stored."""
    return dict(json.loads(json.dumps(dict(parameters))))


def _from_json(value: object) -> object:
    return tuple(map(_from_json, value)) if isinstance(value, list) else value


def _whole(axis: Range) -> range:
    return range(int(axis.low), int(axis.high) + 1)


def _candidates(axis: Axis) -> tuple[Any, ...]:
    return (axis.low,) if isinstance(axis, Range) else axis


def _kinds(axis: Axis) -> tuple[Any, ...]:
    if isinstance(axis, Range):
        return (axis.low,)
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis)
    return axis[:1] if is_numeric else axis


def _value(config: TrialConfig, name: str) -> object:
    owner = config.architecture if hasattr(config.architecture, name) else config.training
    return getattr(owner, name, None)
