"""Keeps from people and logs what TensorFlow says to whoever builds it or writes its programs."""

import logging
import os


def quiet_tensorflow() -> None:
    """Let only errors through; to be called before TensorFlow is imported.

    Its compiled part reads the variable, its Python part (the advice about retracing) logs as "tensorflow",
    and libraries of the same house as "absl".
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
