"""Keeps from people and logs what TensorFlow says to whoever builds it or writes its programs."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@cache
def quiet_tensorflow() -> None:
    """Import TensorFlow, and let only its Python errors through; to be called before anybody imports it.

    Its compiled part reads the variable. That log is closed to errors too, which are raised as well, since it
    calls every kept program a danger: it takes the processor's tuning hints for instruction sets. Its Python
    part (the advice about retracing) logs as "tensorflow", libraries of the same house as "absl". What it
    says while it starts heeds none of these: it goes to the error stream itself, as it is imported and as it
    finds the processor.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _hold_back_errors():
        import tensorflow as tf  # noqa: PLC0415  It is this import that speaks.

        tf.config.list_logical_devices()


@contextmanager
def _hold_back_errors() -> Iterator[None]:
    """Collect what is written to the error stream, by whatever library; show it where an exception passes."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as collected:
        os.dup2(collected.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            collected.seek(0)
            os.write(2, collected.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
