"""A task process and its parent: pool, lease, shutdown, loss, memory, log."""
