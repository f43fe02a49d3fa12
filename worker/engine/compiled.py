"""A function compiled by XLA whose program has the same name in every process, so that it can be kept."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from worker.process.compiled_programs import kept_programs

# How often this process has traced a program: TensorFlow refuses a second one of the same name.
_n_traces: Counter[str] = Counter()


class CompiledFunction:
    """The function, compiled when it is first called with tensors of new shapes; it must be pure.

    `identity` says which function it is: two that share it and the shapes of their arguments must be the
    same, or they take turns in being kept.
    """

    def __init__(self, function: Callable[..., Any], identity: str) -> None:
        self._function = function
        self._identity = identity
        self._compiled: dict[tuple[object, ...], Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401  Of the function.
        """Of the function."""
        signature = tuple((tuple(one.shape), str(one.dtype)) for one in tf.nest.flatten(arguments))
        compiled = self._compiled.get(signature)
        if compiled is not None:
            return compiled(*arguments)

        def call(name: str) -> Any:  # noqa: ANN401
            compiled = tf.function(self._function, jit_compile=True, autograph=False)
            with _stable_names(name):
                result = compiled(*arguments)
            self._compiled[signature] = compiled
            return result

        name = _program_name(self._identity, signature)
        kept = kept_programs()
        return call(name) if kept is None else kept.compile(name, call, tf.errors.OpError)


def _program_name(identity: str, signature: tuple[object, ...]) -> str:
    """32 hex digits, different for every trace of this process."""
    described = f"{identity} {signature}"
    _n_traces[described] += 1
    return hashlib.sha256(f"{described} {_n_traces[described]}".encode()).hexdigest()[:32]


@contextmanager
def _stable_names(name: str) -> Iterator[None]:
    """What is traced meanwhile gets names that depend on `name` alone.

    TensorFlow numbers functions, loops and custom gradients by a counter of the whole process, which every
    tensor advances too; the numbers are part of the program, and a program that was kept is found by its
    content. Ours are larger than that counter ever becomes, and start anew for each name.
    """
    digest = hashlib.sha256(name.encode()).digest()
    numbers = count((int.from_bytes(digest[:6]) << 14) + 2**62)
    counter, ops.uid = ops.uid, lambda: next(numbers)
    try:
        yield
    finally:
        ops.uid = counter
