"""The errors a caller can act on. Every message states the rule, the value, the place and the remedy."""

from typing import Literal

FailureReason = Literal[
    "out_of_memory",
    "timeout",
    "not_finite_loss",
    "lost_worker",
    "cancelled",
    "disk_full",
    "dataset",
    "artifact",
    "error",
]


class RecsweepError(Exception):
    """Root of all expected errors; the command line prints its one line and exits with code 2."""


class SpecError(RecsweepError):
    """A sweep file, option or setting breaks a rule: correct it and run again."""


class DatasetError(RecsweepError):
    """A data set cannot be had or read: supply it, repair it or name another.

    `example`: lines that a person can copy into a file, shown below the message.
    """

    def __init__(self, message: str, example: str = "") -> None:
        super().__init__(message)
        self.example = example


class StoreError(RecsweepError):
    """The database cannot be reached or holds something else than expected."""


class StoreUnavailable(StoreError):  # noqa: N818  The name says the state: it may pass.
    """The database cannot be reached for now: the same call may succeed later."""


class ServiceError(RecsweepError):
    """An embedded service, the broker or the artifact store cannot be started or reached."""


class TrialError(RecsweepError):
    """A trial cannot go on.

    `reason` is the short word stored beside the message. `is_final`: another attempt would end the same way,
    even where attempts that failed for this reason are repeated.
    """

    def __init__(self, reason: FailureReason, message: str, is_final: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_final = is_final

    def __reduce__(self) -> tuple[type["TrialError"], tuple[FailureReason, str, bool]]:
        # Celery pickles exceptions between a task process and its parent.
        return type(self), (self.reason, str(self), self.is_final)
