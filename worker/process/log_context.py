"""Every line that a worker logs during a trial says which sweep, trial and attempt it is about."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery.signals import after_setup_logger, after_setup_task_logger

# A task process runs one trial at a time; the thread that keeps its lease logs for it too.
_current = ""


@contextmanager
def log_context(name: str) -> Iterator[None]:
    """Put `name` before every message logged in this process meanwhile."""
    global _current  # noqa: PLW0603  One process, one trial.
    _current = f"{name}: "
    try:
        yield
    finally:
        _current = ""


class _AddContext(logging.Filter):
    """Writes the context into the message, once however many handlers see the record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _current and not hasattr(record, "trial"):
            record.trial = _current
            record.msg = f"{_current.replace('%', '%%')}{record.msg}"
        return True


@after_setup_logger.connect  # type: ignore[untyped-decorator]  # Celery ships no types.
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def _complete_records(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.addFilter(_AddContext())
