"""Seconds to compile an architecture's programs, or to load them where they are kept; in fresh processes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.memory import keep_imports, peak_memory_bytes

_N_USERS, _N_ITEMS, _BATCH_SIZE, _N_STEPS = 6040, 3952, 32, 64


def time_programs(*, cache_dir: str, architectures: list[dict[str, Any]]) -> dict[str, Any]:
    """One architecture after another, as a task process meets them.

    Of each: the CPU seconds of the first epoch's first step and of the first scores, less those of the same
    call again; the scores of a linear head need no program. On an idle core they pass as fast as the clock;
    the clock would also count what other programs of the machine do meanwhile.
    """
    keep_compiled_programs(Path(cache_dir))
    import tensorflow as tf  # noqa: PLC0415  Its flags are set now.

    from tests.benchmarks.training_ratings import synthetic_data  # noqa: PLC0415
    from worker.engine.batches import shuffle_batches  # noqa: PLC0415
    from worker.engine.epoch import compile_epoch  # noqa: PLC0415
    from worker.engine.optimizers import Adamax  # noqa: PLC0415
    from worker.engine.state import initial_state  # noqa: PLC0415
    from worker.families.tower.model import build_model  # noqa: PLC0415
    from worker.families.tower.network import tower_network  # noqa: PLC0415
    from worker.families.tower.scorer import weights_scorer  # noqa: PLC0415

    keep_imports()
    data = synthetic_data(_BATCH_SIZE * _N_STEPS, _N_USERS, _N_ITEMS)
    optimizer = Adamax(TrainingConfig().learning_rate)
    compile_seconds = []
    for described in architectures:
        architecture = Tower(**described)
        model = build_model(architecture, _N_USERS, _N_ITEMS, random_seed=0)
        network = tower_network(architecture)
        state = initial_state(network, model.weights().named(), optimizer)
        batches = shuffle_batches(data.train, _BATCH_SIZE, 0, 1)
        run_steps = compile_epoch(network, optimizer, _BATCH_SIZE)
        arguments = (batches, tf.constant(0), tf.constant(1), state, tf.constant(0.0, tf.float64))
        scorer = weights_scorer(architecture, model.weights(), _N_ITEMS)
        user = np.arange(1)
        compile_seconds.append(
            _first_less_second(lambda: float(run_steps(*arguments)[1]))  # noqa: B023  Called at once.
            + _first_less_second(lambda: scorer.score_block(user))  # noqa: B023
        )
    return {"compile_seconds": compile_seconds, "memory_peak": peak_memory_bytes()}


def _first_less_second(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    between = time.process_time()
    call()
    return (between - started) - (time.process_time() - between)
