"""Seconds an epoch of the engine beside Keras `fit`: same model, batch size, optimizer, data, one thread."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.domain.families.tower import Tower
from shared.domain.training import OptimizerName, TrainingConfig
from tests.benchmarks.fresh_process import measure
from tests.benchmarks.prepared import prepared_dataset
from tests.benchmarks.report import (
    describe,
    judge,
    parse_options,
    print_heading,
    print_note,
    print_table,
    seconds,
)

DENSE = (64, 32, 1)
RELU = Tower("concatenate", 50, DENSE, "relu")
LINEAR_BAR, DOT_BAR, RELU_BAR = 70, 100, 40


@dataclass(frozen=True)
class Case:
    """One pair of measurements; `bar`: how many times faster the engine has to be."""

    architecture: Tower
    batch_size: int = 32
    optimizer: OptimizerName = "adamax"
    bar: int | None = None
    note: str = ""
    all_threads: bool = False
    compile_options: dict[str, Any] = field(default_factory=dict)

    @property
    def training(self) -> dict[str, Any]:
        return asdict(TrainingConfig(optimizer=self.optimizer, batch_size=self.batch_size))


def cases(*, quick: bool) -> Iterator[Case]:
    """The bars first, then larger batches, then what a person could try to make `fit` faster."""
    concatenate = Tower("concatenate", 50, DENSE)
    yield Case(concatenate, bar=LINEAR_BAR)
    yield Case(Tower("multiply", 50, DENSE), bar=LINEAR_BAR)
    yield Case(Tower("average", 50, DENSE), bar=LINEAR_BAR)
    yield Case(Tower("dot", 50, DENSE), bar=DOT_BAR)
    yield Case(RELU, bar=RELU_BAR)
    for batch_size in (2048,) if quick else (256, 2048, 8192):
        for architecture in (concatenate, Tower("dot", 50, DENSE), RELU):
            yield Case(architecture, batch_size)
    yield Case(concatenate, optimizer="adam")
    yield Case(concatenate, note="fit with all threads", all_threads=True)
    tuned = {"jit_compile": True, "steps_per_execution": 100}
    yield Case(concatenate, note="fit with jit_compile, 100 steps an execution", compile_options=tuned)


def rows(prepared: str, *, quick: bool) -> Iterator[tuple[object, ...]]:
    engine_seconds: dict[str, float] = {}
    for case in cases(quick=quick):
        key = repr((case.architecture, case.batch_size, case.optimizer))
        if key not in engine_seconds:
            engine_seconds[key] = measure(
                "epoch_times:time_engine",
                prepared=prepared,
                architecture=asdict(case.architecture),
                training=case.training,
                n_epochs=3 if quick else 6,
            )["epoch_seconds"]
        ours = engine_seconds[key]
        (fit,) = measure(
            "epoch_times:time_fit",
            all_threads=case.all_threads,
            prepared=prepared,
            architectures=[asdict(case.architecture)],
            training=case.training,
            budget_seconds=1 if quick else 5,
            compile_options=case.compile_options,
        )
        keras = fit["train_seconds"] + fit["validation_seconds"]
        ratio = keras / ours
        name = describe(case.architecture) + (f", {case.note}" if case.note else "")
        bar = f"≥ {case.bar}: {judge(is_met=ratio >= case.bar)}" if case.bar else ""
        yield (
            name,
            case.optimizer,
            case.batch_size,
            seconds(ours),
            f"{seconds(fit['train_seconds'])} + {seconds(fit['validation_seconds'])}",
            f"{fit['n_steps']:,} of {fit['n_epoch_steps']:,}",
            f"{ratio:.1f}",
            bar,
        )


def main() -> None:
    options = parse_options(__doc__)
    print_heading("An epoch of the engine beside Keras fit", "bench_fit")
    with prepared_dataset() as prepared:
        print_note(
            "An epoch is training and validation, for both. Engine: with shuffle and validation, after the "
            "compile, median of 5. Keras: `fit` and `evaluate` of the same Keras model, learning rate 0.001, "
            "MSE, after the trace, median of 3, scaled from the steps shown. One thread each, unless said "
            "otherwise."
        )
        print_table(
            ("model", "optimizer", "batch", "engine, s", "Keras, s: fit + evaluate", "steps", "ratio", "bar"),
            rows(prepared, quick=options.quick),
        )


if __name__ == "__main__":
    main()
