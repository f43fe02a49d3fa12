"""What every trial of a grid measured after each epoch, run to its end; called in fresh processes."""

import time
from pathlib import Path
from typing import Any

from shared.datasets import split_ratings
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from tests.benchmarks.prepared import open_dataset
from worker.families import matrix_factorization
from worker.families.contract import FitContext
from worker.metrics.objective import objective_on_validation
from worker.process.compiled_programs import keep_compiled_programs
from worker.trial import fit_data


def histories(*, prepared: str, trials: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """ndcg@20 on validation after each epoch of each trial, and the CPU seconds of all; `seed` splits too."""
    dataset = open_dataset(prepared)
    protocol = Protocol(objective="ndcg@20", split_seed=seed)
    split = split_ratings(dataset, protocol)
    data = fit_data(dataset, split, protocol)
    objective_of = objective_on_validation(dataset, split, protocol, predicts_ratings=False)
    keep_compiled_programs(Path(prepared).parent)
    started = time.process_time()
    measured = []
    for trial in trials:
        training = TrainingConfig(**trial["training"], random_seed=seed)
        context = FitContext(objective_of=objective_of)
        fitted = matrix_factorization.fit(
            MatrixFactorization(**trial["architecture"]), training, data, context
        )
        measured.append([epoch.objective for epoch in fitted.epochs])
    return {"histories": measured, "seconds": time.process_time() - started}
