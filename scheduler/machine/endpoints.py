"""What the services give to others: where they are, and how they are doing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoints:
    """How to reach the database, the broker, Flower and the page; the first two URLs hold passwords."""

    database_url: str
    broker_url: str
    flower_url: str | None
    dashboard_url: str | None = None


@dataclass(frozen=True)
class ServiceStatus:
    """One service of this machine, or a server elsewhere that is used instead of it.

    `state` is running, starting, stopping, stopped, failing (restarted again and again), failed,
    external or unreachable. `address` holds no password.
    """

    name: str
    state: str
    pid: int | None = None
    uptime_seconds: float | None = None
    address: str | None = None

    @property
    def uptime(self) -> str:
        """Time since the start in the two largest units, such as `3 h 12 min`; empty when not running."""
        if self.uptime_seconds is None:
            return ""
        minutes, seconds = divmod(int(self.uptime_seconds), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        if days:
            return f"{days} d {hours} h"
        if hours:
            return f"{hours} h {minutes} min"
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
