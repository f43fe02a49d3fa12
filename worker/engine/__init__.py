"""The compiled epoch: batches, optimizers on rows, evaluation."""
