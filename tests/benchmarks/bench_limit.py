"""The distance to the limit: FLOP/s of an epoch beside those of a large matrix product on the same core."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import describe, parse_options, print_heading, print_note, print_table, seconds

CORE = 0
N_MOMENTS = 2
# m: 2, v: 1, theta: 1 and a division.
UPDATE_MULTIPLICATIONS = 5
FORMULA = """
Multiplications of a step with B ratings, embedding size E, layers of n_in inputs and n_out outputs. They are
those that the mathematics needs after folding, not those that the program makes:

- linear head: F + B M forward, F = sum of n_in n_out over all layers but the last (W1 (W2 W3), a matrix times
  one column each), M = 2E for concatenate, multiply, average and dot alike;
- head with activations: B sum of n_in n_out forward; for dot E times that, and B E^2 for the outer product;
- backward: twice forward, once for the inputs and once for the weights;
- Adamax: 5 for each number of the 2B rows and of the dense layers.

FLOP = 2 x multiplications. Bytes: 2B rows with 2 moments, read and written once, 4 bytes a number.
"""


def step_multiplications(architecture: Tower, batch_size: int) -> int:
    """As in FORMULA."""
    size = architecture.embedding_size
    width = 2 * size if architecture.merge == "concatenate" else size
    layers = list(pairwise((width, *architecture.dense_layers)))
    products = sum(n_in * n_out for n_in, n_out in layers)
    if architecture.is_linear:
        forward = products - layers[-1][0] * layers[-1][1] + batch_size * 2 * size
    elif architecture.merge == "dot":
        forward = batch_size * (size * products + size * size)
    else:
        forward = batch_size * products
    n_dense = products + sum(architecture.dense_layers)
    return 3 * forward + UPDATE_MULTIPLICATIONS * (2 * batch_size * size + n_dense)


def step_bytes(architecture: Tower, batch_size: int) -> int:
    """As in FORMULA."""
    return 2 * batch_size * architecture.embedding_size * (1 + N_MOMENTS) * 4 * 2


def cases(*, quick: bool) -> Iterator[tuple[Tower, int]]:
    """From the smallest steps, bound by their fixed cost, to large matrices, bound by arithmetic."""
    dense = (64, 32, 1)
    relu = Tower("concatenate", 50, dense, "relu")
    yield Tower("concatenate", 50, dense), 32
    yield relu, 32
    if quick:
        return
    for merge in ("multiply", "average", "dot"):
        yield Tower(merge, 50, dense), 32
    yield Tower("concatenate", 50, dense), 8192
    yield relu, 2048
    yield relu, 8192
    yield Tower("concatenate", 256, (512, 256, 1), "relu"), 8192
    # In full: fifty towers a rating.
    yield Tower("dot", 50, (8, 1), "relu"), 32


def rows(prepared: str, peak: float, *, quick: bool) -> Iterator[tuple[object, ...]]:
    for architecture, batch_size in cases(quick=quick):
        measured = measure(
            "epoch_times:time_engine",
            core=CORE,
            prepared=prepared,
            architecture=asdict(architecture),
            training=asdict(TrainingConfig(batch_size=batch_size)),
            n_epochs=3 if quick else 4,
        )
        epoch, n_steps = measured["epoch_seconds"], measured["n_steps"]
        flop = 2 * n_steps * step_multiplications(architecture, batch_size)
        moved = n_steps * step_bytes(architecture, batch_size)
        yield (
            describe(architecture),
            f"{batch_size:,}",
            seconds(epoch),
            f"{epoch / n_steps * 1e6:,.1f}",
            f"{flop / 1e9:,.2f}",
            f"{flop / epoch / 1e9:,.2f}",
            f"{flop / epoch / peak:.1%}",
            f"{moved / epoch / 1e9:,.2f}",
        )


def main() -> None:
    quick = parse_options(__doc__).quick
    print_heading("The distance to the limit", "bench_limit")
    n_repeats = 3 if quick else 8
    products = measure("core_limits:matrix_product", core=CORE, n_repeats=n_repeats)
    copies = measure("core_limits:memory_copy", core=CORE, n_repeats=n_repeats)
    peak = max(products.values())
    print(f"\n{FORMULA.strip()}")
    print_note(
        f"One thread on core {CORE}. A 3,072 x 3,072 float32 matrix product: NumPy "
        f"{products['numpy'] / 1e9:.0f} GFLOP/s, TensorFlow {products['tensorflow'] / 1e9:.0f} GFLOP/s; the "
        f"larger is the peak. Copying, read and written: {copies['memory'] / 1e9:.1f} GB/s from memory, "
        f"{copies['tables'] / 1e9:.1f} GB/s within 4 MB, about the size of the tables."
    )
    with prepared_dataset() as prepared:
        print_table(
            (
                "model",
                "batch",
                "s an epoch",
                "µs a step",
                "GFLOP",
                "GFLOP/s",
                "of peak",
                "rows, GB/s",
            ),
            rows(prepared, peak, quick=quick),
        )


if __name__ == "__main__":
    main()
