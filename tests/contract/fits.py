"""A case is fitted once for all tests that only look at the result."""

from functools import cache
from typing import Any

import numpy as np

from tests.contract.cases import Case
from tests.contract.data import Sample
from worker.families.contract import FitContext, Fitted
from worker.families.registry import Family, family_of
from worker.ranking.scorers import Scorer


class StoppedError(Exception):
    """What a test stops a fit with."""


class Checkpoints:
    """Keeps every checkpoint; gives the last one."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    def load(self) -> bytes | None:
        return self.contents[-1] if self.contents else None

    def save(self, content: bytes) -> None:
        self.contents.append(content)


def module_of(case: Case) -> Family:
    return family_of(case.architecture)


def fit(case: Case, sample: Sample, **context: Any) -> Fitted:
    return module_of(case).fit(case.architecture, case.training, sample.data, FitContext(**context))


@cache
def fitted(case: Case, sample: Sample) -> Fitted:
    """The fit that nobody watches."""
    return fit(case, sample)


@cache
def scorer_of(case: Case, sample: Sample) -> Scorer:
    return module_of(case).make_scorer(case.architecture, fitted(case, sample).weights, sample.data)


def assert_same_weights(one: Fitted, other: Fitted) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, array in one.weights.items():
        assert array.dtype == other.weights[name].dtype
        np.testing.assert_array_equal(array, other.weights[name])
