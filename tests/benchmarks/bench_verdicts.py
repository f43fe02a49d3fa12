"""How often verdicts are wrong on synthetic sweeps, of which it is known which trials are equal; their cost.

With a test part, the leader is chosen on other ratings than those that judge. Without one, the same ratings
choose and judge: of equal trials the luckiest leads, and every pair of trials counts as compared.
"""

import math
import resource
import time
from collections.abc import Iterator

import numpy as np

from scheduler.verdicts.resampling import estimate, trials_at_once
from tests.benchmarks.report import judge, parse_options, print_heading, print_note, print_table, seconds
from tests.synthetic_sweeps import MEASURE, Truth, has_difference, has_winner, judge_sweep

EQUAL = [
    Truth(n_trials=2, n_users=100),
    Truth(n_trials=2, n_users=1_000),
    Truth(n_trials=16, n_users=100),
    Truth(n_trials=16, n_users=1_000),
    Truth(n_trials=16, n_users=6_000),
    Truth(n_trials=50, n_users=1_000),
    Truth(n_trials=12, n_users=1_000, n_seeds=3, seed_noise=0.01),
]
UNEQUAL = [Truth(advantage=advantage) for advantage in (0.005, 0.01, 0.02, 0.03)]
BAR, MEMORY_BAR = 0.05, 600e6


def equal_rows(n_sweeps: int) -> Iterator[tuple[object, ...]]:
    # With 2 trials the true share is 5 %: what is counted scatters around it, and is above this once in 100.
    limit = BAR + 2.33 * math.sqrt(BAR * (1 - BAR) / n_sweeps)
    for truth in EQUAL:
        for has_test in (True, False):
            sweeps = [judge_sweep(truth, seed, has_test=has_test) for seed in range(n_sweeps)]
            winners = sum(map(has_winner, sweeps)) / n_sweeps
            differences = sum(map(has_difference, sweeps)) / n_sweeps
            yield (
                describe(truth),
                "test" if has_test else "validation",
                f"{100 * winners:.1f} %",
                f"{100 * differences:.1f} %",
                f"≤ {100 * limit:.1f} %: {judge(is_met=winners <= limit)}",
            )


def describe(truth: Truth) -> str:
    if truth.n_seeds == 1:
        return f"{truth.n_trials} equal trials, {truth.n_users:,} users"
    n_equal = truth.n_trials // truth.n_seeds
    return (
        f"{n_equal} equal configurations of {truth.n_seeds} lucky or unlucky seeds, {truth.n_users:,} users"
    )


def unequal_rows(n_sweeps: int) -> Iterator[tuple[object, ...]]:
    for truth in UNEQUAL:
        for has_test in (True, False):
            sweeps = [judge_sweep(truth, seed, has_test=has_test) for seed in range(n_sweeps)]
            is_found = [one[0].trial_id == 0 and one[0].verdict == "winner" for one in sweeps]
            is_wrong = [
                any(one.verdict == "winner" and one.trial_id != 0 for one in sweep) for sweep in sweeps
            ]
            yield (
                f"one of {truth.n_trials} better by {truth.advantage}, {truth.n_users:,} users",
                "test" if has_test else "validation",
                f"{100 * np.mean(is_found):.1f} %",
                f"{100 * np.mean(is_wrong):.1f} %",
            )


def cost_rows() -> Iterator[tuple[object, ...]]:
    for n_users in (6_040, 200_000):
        n_trials = min(trials_at_once(n_users), 100)
        values = np.random.default_rng(0).random((n_trials, n_users))
        started = time.process_time()
        estimate(MEASURE, values, np.ones(n_users))
        taken = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        yield (
            f"{n_trials} trials, {n_users:,} users",
            seconds(taken),
            f"{peak / 1e6:,.0f}",
            f"≤ {MEMORY_BAR / 1e6:.0f} MB: {judge(is_met=peak <= MEMORY_BAR)}",
        )


def main() -> None:
    options = parse_options(__doc__)
    n_sweeps = 20 if options.quick else 200
    print_heading("Verdicts", "bench_verdicts")
    print_note(
        f"{n_sweeps} synthetic sweeps a row; ndcg of users skewed as real ones, trials differ by noise of "
        "0.1 a user. A false winner is a sweep in which any trial is said to be better than all others, or "
        "than the leader; any difference counts trials said to be worse too."
    )
    columns = ("sweep", "judged on", "false winner", "any difference", "5 %, but for chance")
    print_table(columns, equal_rows(n_sweeps), "All trials equal in truth")
    print_table(("sweep", "judged on", "it wins", "another wins"), unequal_rows(n_sweeps), "One trial better")
    print_table(("2,000 resamples of", "CPU s", "peak, MB", "bar"), cost_rows(), "Cost")


if __name__ == "__main__":
    main()
