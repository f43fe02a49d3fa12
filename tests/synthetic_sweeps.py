"""Results of users of sweeps that are made up, so that it is known which trials are equal in truth."""

from dataclasses import dataclass

import numpy as np

from scheduler.verdicts.judging import Contender, judge
from scheduler.verdicts.measures import measure_of
from scheduler.verdicts.resampling import estimate
from shared.domain.verdicts import Verdict

OBJECTIVE = "ndcg@20"
MEASURE = measure_of(OBJECTIVE)


@dataclass(frozen=True)
class Truth:
    """What a synthetic sweep is drawn from.

    Each user has a level of ndcg of their own, skewed as real ones are (many zeros); each trial differs from
    it by noise of `trial_noise`, drawn anew for validation and test. The first trial has `advantage` more.
    With `n_seeds` above 1 the trials are of n_trials / n_seeds configurations, and luck of `seed_noise` makes
    each of them better or worse for all users.
    """

    n_trials: int = 16
    n_users: int = 1_000
    trial_noise: float = 0.1
    advantage: float = 0.0
    n_seeds: int = 1
    seed_noise: float = 0.0

    def configuration(self, trial: int) -> int:
        return trial // self.n_seeds


def draw(truth: Truth, luck: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n_trials, n_users): ndcg in [0, 1] of every user on one part of the split; luck: (n_trials,)."""
    level = random.beta(0.5, 2.0, truth.n_users)
    noise = random.normal(0.0, truth.trial_noise, (truth.n_trials, truth.n_users))
    values = level + noise + luck[:, None]
    values[0] += truth.advantage
    return np.asarray(np.clip(values, 0.0, 1.0))


def judge_sweep(truth: Truth, seed: int, *, has_test: bool) -> list[Verdict]:
    """The verdicts, the leader first: validation chooses it, and judges too where there is no test part."""
    random = np.random.default_rng(seed)
    luck = random.normal(0.0, truth.seed_noise, truth.n_trials)
    validation = draw(truth, luck, random)
    judging = draw(truth, luck, random) if has_test else validation
    order = np.argsort(-validation.mean(axis=1))
    ones = np.ones(truth.n_users)
    estimates = estimate(MEASURE, judging[order], ones)
    contenders = [
        Contender(int(trial), f"trial {trial}", str(truth.configuration(int(trial))), one)
        for trial, one in zip(order, estimates, strict=True)
    ]
    part = "test" if has_test else "validation"
    return judge(contenders, OBJECTIVE, part, is_larger_better=True)


def has_winner(verdicts: list[Verdict]) -> bool:
    """Whether any trial is said to be better than others: a false one where all are equal."""
    return any(one.verdict == "winner" for one in verdicts)


def has_difference(verdicts: list[Verdict]) -> bool:
    """Whether any trial of another configuration is said to differ from the leader."""
    compared = [one for one in verdicts if one.difference is not None]
    return any(one.verdict in ("winner", "worse") for one in compared)
