"""Factors trained in epochs: lists and rating predictions on validation, and what they cost; beside peers.

Settings were chosen on a ninth of the training ratings, held out of the rest; validation was not looked at.
"""

from collections.abc import Callable, Iterator
from typing import Any

from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.families.svd_plus_plus import SvdPlusPlus
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

Architecture = MatrixFactorization | SvdPlusPlus

# Smallest ndcg@20 or, of families that predict ratings, largest RMSE.
BARS: list[tuple[Architecture, float | None]] = [
    (MatrixFactorization(), 0.285),
    (MatrixFactorization(size=64), 0.285),
    (MatrixFactorization(loss="squared_error_with_zeros"), None),
    (MatrixFactorization(loss="bpr"), None),
    (MatrixFactorization(loss="bce"), None),
    (MatrixFactorization(loss="squared_error"), 0.846),
    (MatrixFactorization(loss="squared_error", size=64), 0.846),
    (SvdPlusPlus(), 0.844),
]
# An epoch of softmax beside one of the tower: 0.4 s where that takes 0.57 s.
TOWER_BAR = 0.4 / 0.57
_PEER_EPOCHS = 20


def quality_rows(prepared: str) -> Iterator[tuple[object, ...]]:
    for architecture, bar in BARS:
        measured = _fit(prepared, architecture)
        rmse, verdict = measured["rmse"], ""
        if bar is not None:
            is_met = measured["ndcg"] >= bar if rmse is None else rmse <= bar
            verdict = f"{'≥' if rmse is None else '≤'} {bar}: {judge(is_met=is_met)}"
        yield (
            architecture.label,
            f"{measured['ndcg']:.4f}",
            f"{measured['recall']:.4f}",
            f"{measured['coverage']:.3f}",
            "" if rmse is None else f"{rmse:.4f}",
            seconds(measured["first_seconds"]),
            seconds(measured["epoch_seconds"]),
            seconds(measured["seconds"]),
            megabytes(measured["memory_peak"]),
            verdict,
        )


def tower_rows(prepared: str, *, quick: bool) -> Iterator[tuple[object, ...]]:
    times = measure("factor_times:epoch_beside_tower", prepared=prepared, n_epochs=2 if quick else 4)
    ratio = times["factors"] / times["tower"]
    yield (
        "softmax, size 128 / tower, concatenate 50 64 32 1, batch 32",
        seconds(times["factors"]),
        seconds(times["tower"]),
        f"{ratio:.2f}",
        f"≤ {TOWER_BAR:.2f}: {judge(is_met=ratio <= TOWER_BAR)}",
    )


def peer_rows(prepared: str, peers: Peers) -> Iterator[tuple[object, ...]]:
    """A peer with its default settings, then how long we need until our RMSE is as small."""
    ours = _fit(prepared, MatrixFactorization(loss="squared_error", size=50))
    calls: dict[str, Callable[[], dict[str, Any]]] = {}
    if has(peers, "scikit-surprise"):
        calls["Surprise SVD"] = lambda: _fit_peer(prepared, peers, "surprise")
    if has(peers, "cornac"):
        calls["Cornac MF"] = lambda: _fit_peer(prepared, peers, "cornac")
    for name, call in calls.items():
        theirs = call()
        until = next((at for rmse, at in ours["until"] if rmse <= theirs["rmse"]), None)
        is_met = until is not None and until <= theirs["cpu_seconds"]
        yield (
            f"{name}, 50 wide, {_PEER_EPOCHS} epochs",
            f"{theirs['rmse']:.4f}",
            seconds(theirs["cpu_seconds"]),
            "never" if until is None else seconds(until),
            f"not slower: {judge(is_met=is_met)}" if name.startswith("Surprise") else "",
        )
    yield "matrix_factorization, 50 wide, to its end", f"{ours['rmse']:.4f}", "", seconds(ours["seconds"]), ""


def _fit(prepared: str, architecture: Architecture) -> dict[str, Any]:
    fitted: dict[str, Any] = measure(
        "factor_times:time_fit",
        prepared=prepared,
        family=architecture.family,
        settings=settings_of(architecture),
    )
    return fitted


def _fit_peer(prepared: str, peers: Peers, name: str) -> dict[str, Any]:
    fitted: dict[str, Any] = measure(
        f"peer_times:fit_{name}", python=peers.python, prepared=prepared, n_epochs=_PEER_EPOCHS
    )
    return fitted


def main() -> None:
    options = parse_options(__doc__)
    print_heading("Factors trained in epochs", "bench_factors")
    with prepared_dataset() as prepared, installed_peers() as peers:
        print_note(
            "Trained on 90 %, judged on the validation split of seed 0: full ranking, relevant from 4. CPU "
            "seconds of one thread, with all compiled; the first epoch compiles."
        )
        columns: tuple[str, ...] = (
            *("architecture", "ndcg@20", "recall@20", "coverage@20", "RMSE"),
            *("first epoch, s", "an epoch, s", "fit, s", "peak, MB", "bar"),
        )
        print_table(columns, quality_rows(prepared), "Lists and rating predictions")
        columns = ("an epoch of", "s", "of the other, s", "ratio", "bar")
        print_table(columns, tower_rows(prepared, quick=options.quick), "Turn by turn")
        for requirement, reason in peers.missing.items():
            print_note(f"Could not be installed: {requirement}: {reason}")
        columns = ("model", "RMSE", "s", "ours to that RMSE, s", "bar")
        print_table(columns, peer_rows(prepared, peers), "Squared errors, beside peers")


if __name__ == "__main__":
    main()
