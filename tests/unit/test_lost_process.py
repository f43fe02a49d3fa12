"""The cause that is stored for a task process that died."""

import pytest
from billiard.exceptions import WorkerLostError

from worker.process.lost_process import explain_loss


@pytest.mark.parametrize(
    ("text", "memory_kill", "expected"),
    [
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            False,
            ("lost_worker", "killed by signal 9 (SIGKILL)"),
        ),
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            True,
            ("out_of_memory", "killed by signal 9 (SIGKILL) because memory ran out"),
        ),
        # The kernel's memory kill is a SIGKILL: another signal is not explained by it.
        (
            "Worker exited prematurely: signal 11 (SIGSEGV) Job: 0.",
            True,
            ("lost_worker", "killed by signal 11 (SIGSEGV)"),
        ),
        (
            "Worker exited prematurely: exitcode 1.",
            False,
            ("lost_worker", "its process ended with exitcode 1"),
        ),
    ],
)
def test_the_signal_or_exit_code_is_named(text, memory_kill, expected):
    assert explain_loss(WorkerLostError(text), memory_kill=memory_kill) == expected
