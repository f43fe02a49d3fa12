"""The pool of task processes."""

from types import SimpleNamespace

from celery.concurrency.asynpool import AsynPool

from worker.process.pool import TaskPool


def test_an_ended_process_is_noticed_within_a_second_where_celery_takes_five():
    pool = SimpleNamespace(maintain_pool=lambda: None)
    assert AsynPool.timers.fget(pool) == {pool.maintain_pool: 5.0}
    (period,) = TaskPool.Pool.timers.fget(pool).values()
    assert period < 1.0
