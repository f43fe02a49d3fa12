"""Time that passes when it is told to."""


class Clock:
    """Stands in for `time.monotonic`."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds
