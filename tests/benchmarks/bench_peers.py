"""Beside what a person would pick instead: KerasTuner's grid search, and biased matrix factorisation."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.peers import Peers, installed_peers
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import (
    describe,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

BATCH_SIZE = 32
GRID = [Tower(merge, 50, (64, 32, 1)) for merge in ("concatenate", "multiply", "average", "dot")]
# The engine's nearest model: a weighted product of two vectors and one bias.
FACTORISATION = Tower("multiply", 50, (1,))


def grid_rows(prepared: str, peers: Peers, *, quick: bool) -> Iterator[tuple[object, ...]]:
    """Two searches of different lengths give the cost of a trial and of a step; together they are scaled."""
    architectures = [asdict(architecture) for architecture in GRID]
    trials = measure(
        "peer_times:run_trials",
        prepared=prepared,
        architectures=architectures,
        max_epochs=2 if quick else TrainingConfig().max_epochs,
    )
    ours = sum(trial["seconds"] for trial in trials)
    n_epochs = sum(trial["n_epochs"] for trial in trials)
    epochs = ", ".join(str(trial["n_epochs"]) for trial in trials)
    yield f"ours: 4 whole trials, {epochs} epochs, lists and metrics included", "", seconds(ours), ""
    if not has(peers, "keras-tuner"):
        return
    short, long = n_steps = (50, 500) if quick else (250, 2000)
    found = measure(
        "peer_times:search_grid",
        python=peers.python,
        prepared=prepared,
        architectures=architectures,
        batch_size=BATCH_SIZE,
        n_steps=list(n_steps),
    )
    first, second = found["seconds"]
    yield f"KerasTuner: 4 trials of {short:,} steps", seconds(first), "", ""
    yield f"KerasTuner: 4 trials of {long:,} steps", seconds(second), "", ""
    # Steps of the four models cost about the same but for dot; its epochs are weighed like the others'.
    per_step = (second - first) / (len(GRID) * (long - short))
    if per_step <= 0:
        yield "KerasTuner: too few steps to tell what one costs", "", "", ""
        return
    fixed = max(0.0, first - per_step * len(GRID) * short)
    whole = fixed + per_step * n_epochs * found["n_epoch_steps"]
    yield "KerasTuner: the same epochs, scaled", "", seconds(whole), f"{whole / ours:.0f}"


def factorisation_rows(prepared: str, peers: Peers, *, quick: bool) -> Iterator[tuple[object, ...]]:
    """One line a library: an epoch, and where it gets to."""
    n_epochs = 2 if quick else 20
    calls: dict[str, Callable[[], dict[str, Any]]] = {}
    if has(peers, "scikit-surprise"):
        calls[f"Surprise SVD, 50 wide, {n_epochs} epochs"] = lambda: measure(
            "peer_times:fit_surprise", python=peers.python, prepared=prepared, n_epochs=n_epochs
        )
    if has(peers, "cornac"):
        calls[f"Cornac MF, 50 wide, {n_epochs} epochs, one thread"] = lambda: measure(
            "peer_times:fit_cornac", python=peers.python, prepared=prepared, n_epochs=n_epochs
        )
    for name, call in calls.items():
        fitted = call()
        yield name, 1, seconds(fitted["seconds"] / fitted["n_epochs"]), f"{fitted['rmse']:.4f}"
    for batch_size in (32, 256):
        for optimizer in ("sgd", "adamax"):
            training = TrainingConfig(optimizer=optimizer, batch_size=batch_size)
            epoch = measure(
                "epoch_times:time_engine",
                prepared=prepared,
                architecture=asdict(FACTORISATION),
                training=asdict(training),
                n_epochs=2 if quick else 4,
            )
            name = f"engine, {describe(FACTORISATION)}, {optimizer}, validation included"
            yield name, batch_size, seconds(epoch["epoch_seconds"]), ""


def has(peers: Peers, name: str) -> bool:
    return not any(requirement.startswith(name) for requirement in peers.missing)


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("Beside what a person would pick instead", "bench_peers")
    with prepared_dataset() as prepared, installed_peers() as peers:
        for requirement, reason in peers.missing.items():
            print_note(f"Could not be installed: {requirement}: {reason}")
        if not peers.missing:
            print_note("All peers could be installed.")
        print_note(
            "One process, one thread each, batch 32, Adamax, MSE, one split. KerasTuner trains one epoch "
            "of few steps a trial; a longer search tells what a step costs and what a trial costs beside. "
            "Scaled to the epochs that ours ran, with one such fixed cost a trial: less than it would pay, "
            "for it saves weights after every epoch. Its time has no recommendations and no ranking metrics."
        )
        print_table(
            ("whole sweep of 4 architectures", "measured, s", "whole sweep, s", "times ours"),
            grid_rows(prepared, peers, quick=quick),
            ", ".join(map(describe, GRID)),
        )
        print_note(
            "Biased matrix factorisation updates rating by rating (batch 1), on the two vectors and biases. "
            "RMSE on the validation ratings, of the peers with their default settings."
        )
        print_table(
            ("model", "batch", "s an epoch", "RMSE"),
            factorisation_rows(prepared, peers, quick=quick),
            "An epoch of matrix factorisation",
        )


if __name__ == "__main__":
    main()
