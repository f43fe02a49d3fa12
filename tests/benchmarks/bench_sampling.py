"""Bayesian matrix factorisation: what it predicts on validation and what it costs; beside myfm.

myfm is measured where it can be installed. Settings were chosen on a ninth of the training ratings, held out
of the rest; validation was not looked at.
"""

from collections.abc import Iterator
from typing import Any

from shared.domain.families.bayesian_mf import BayesianMf
from tests.benchmarks.bench_peers import has
from tests.benchmarks.family_times import settings_of
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.peers import Peers, installed_peers
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import (
    judge,
    megabytes,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

# Largest RMSE.
BARS: list[tuple[BayesianMf, float | None]] = [
    (BayesianMf(size=8, sweeps=20), None),
    (BayesianMf(), None),
    (BayesianMf(user_features=True), 0.820),
    (BayesianMf(user_features=True, sweeps=160), 0.820),
]
# A sweep of myfm takes at least so many times as long.
MYFM_BAR = 3.0
_SIZE = 32


def quality_rows(prepared: str) -> Iterator[tuple[object, ...]]:
    for architecture, bar in BARS:
        measured = _sample(prepared, architecture)
        is_met = bar is None or measured["rmse"] <= bar
        yield (
            architecture.label,
            f"{measured['rmse']:.4f}",
            seconds(measured["fit_seconds"]),
            seconds(measured["sweep_seconds"]),
            megabytes(measured["memory_peak"]),
            f"≤ {bar:.3f}: {judge(is_met=is_met)}" if bar else "",
        )


def peer_rows(prepared: str, peers: Peers, *, n_sweeps: int) -> Iterator[tuple[object, ...]]:
    ours = _sample(prepared, BayesianMf(size=_SIZE, sweeps=n_sweeps, user_features=True))
    yield f"bayesian_mf, {n_sweeps} sweeps", f"{ours['rmse']:.4f}", seconds(ours["sweep_seconds"]), "", ""
    if not has(peers, "myfm"):
        return
    theirs = measure(
        "sampling_times:time_myfm", python=peers.python, prepared=prepared, size=_SIZE, n_sweeps=n_sweeps
    )
    ratio = theirs["sweep_seconds"] / ours["sweep_seconds"]
    yield (
        f"myfm, {n_sweeps} sweeps",
        f"{theirs['rmse']:.4f}",
        seconds(theirs["sweep_seconds"]),
        f"{ratio:.1f}",
        f"≥ {MYFM_BAR:g}: {judge(is_met=ratio >= MYFM_BAR)}",
    )


def _sample(prepared: str, architecture: BayesianMf) -> dict[str, Any]:
    sampled: dict[str, Any] = measure(
        "sampling_times:time_sampler", prepared=prepared, settings=settings_of(architecture)
    )
    return sampled


def main() -> None:
    options = parse_options(__doc__)
    print_heading("Bayesian matrix factorisation", "bench_sampling")
    with prepared_dataset() as prepared, installed_peers() as peers:
        print_note("Trained on 90 %, judged on the validation split of seed 0. CPU seconds of one thread.")
        columns: tuple[str, ...] = ("architecture", "RMSE", "fit, s", "a sweep, s", "peak, MB", "bar")
        print_table(columns, quality_rows(prepared))
        for requirement, reason in peers.missing.items():
            print_note(f"Could not be installed: {requirement}: {reason}")
        print_note(
            f"Rank {_SIZE}, ids, implicit sums of users and of items, genres, and gender, age and occupation "
            "on both sides; the mean of the samples after five."
        )
        columns = ("sampler", "RMSE", "a sweep, s", "times ours", "bar")
        print_table(columns, peer_rows(prepared, peers, n_sweeps=10 if options.quick else 60), "Beside myfm")


if __name__ == "__main__":
    main()
