"""Trains the given architectures in a fresh process, one after another; prints a digest of each result.

`python -m tests.unit.train_and_keep CACHE_DIR ARCHITECTURES N_TENSORS`; an empty CACHE_DIR keeps nothing.
"""

import hashlib
import json
import logging
import sys
from pathlib import Path

import numpy as np

from shared.domain.families.tower import Tower
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.quiet import quiet_tensorflow


def main() -> None:
    cache_dir, architectures, n_tensors = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    if cache_dir:
        keep_compiled_programs(Path(cache_dir))
    quiet_tensorflow()
    import tensorflow as tf  # noqa: PLC0415

    from tests.benchmarks.training_ratings import synthetic_data  # noqa: PLC0415
    from worker.engine.adam import Adam  # noqa: PLC0415
    from worker.engine.batches import shuffle_batches  # noqa: PLC0415
    from worker.engine.epoch import compile_epoch  # noqa: PLC0415
    from worker.engine.state import initial_state, weights_of  # noqa: PLC0415
    from worker.families.tower.model import build_model  # noqa: PLC0415
    from worker.families.tower.network import tower_network  # noqa: PLC0415
    from worker.families.tower.scorer import weights_scorer  # noqa: PLC0415
    from worker.families.tower.weights import from_named  # noqa: PLC0415

    for number in range(n_tensors):
        tf.constant(number)
    digests = {}
    for merge, activation in architectures:
        architecture = Tower(merge, 4, (3, 1), activation)
        model, optimizer = build_model(architecture, 12, 15, random_seed=1), Adam(0.01)
        batches = shuffle_batches(synthetic_data(40, 12, 15).train, 8, 1, 1)
        network = tower_network(architecture)
        state, loss = compile_epoch(network, optimizer, 8)(
            batches,
            tf.constant(0),
            tf.constant(5),
            initial_state(network, model.weights().named(), optimizer),
            tf.constant(0.0, tf.float64),
        )
        weights = from_named(weights_of(network, state, optimizer))
        scores = weights_scorer(architecture, weights, 15).score_block(np.arange(12))
        numbers = (weights.user_embedding, weights.item_embedding, *weights.dense[0], scores, loss.numpy())
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in numbers))
        digests[f"{merge} {activation}"] = digest.hexdigest()
    sys.stdout.write(json.dumps(digests) + "\n")


if __name__ == "__main__":
    main()
