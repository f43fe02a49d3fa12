"""The cause that is stored for a task process that died."""

import pytest
from billiard.exceptions import WorkerLostError

from worker.process.lost_process import explain_loss


@pytest.mark.parametrize(
    ("text", "memory_kill", "expected"),
    [
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            None,
            ("lost_worker", "killed by signal 9 (SIGKILL)"),
        ),
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            "group",
            (
                "out_of_memory",
                "killed by signal 9 (SIGKILL); memory ran out, and the kernel killed a process of this"
                " worker's control group",
            ),
        ),
        # Any program of the machine may be meant: it is no more than a guess, and said to be one.
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            "machine",
            (
                "lost_worker",
                "killed by signal 9 (SIGKILL), perhaps because memory ran out: the kernel killed some process"
                " of this machine for that",
            ),
        ),
        # The kernel's memory kill is a SIGKILL: another signal is not explained by it.
        (
            "Worker exited prematurely: signal 11 (SIGSEGV) Job: 0.",
            "group",
            ("lost_worker", "killed by signal 11 (SIGSEGV)"),
        ),
        (
            "Worker exited prematurely: exitcode 1.",
            None,
            ("lost_worker", "its process ended with exitcode 1"),
        ),
    ],
)
def test_the_signal_or_exit_code_is_named(text, memory_kill, expected):
    assert explain_loss(WorkerLostError(text), memory_kill=memory_kill) == expected
