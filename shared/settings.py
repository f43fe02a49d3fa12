"""Typed settings from the environment and an optional `.env`: places and secrets, nothing else."""

from functools import cached_property
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import SpecError

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things are. An unset `database_url` or `broker_url` means: the embedded service."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: str | None = None
    broker_url: str | None = None
    artifact_url: str | None = None
    data_dir: Path | None = None
    state_dir: Path = PROJECT_ROOT / ".recsweep"
    log_level: str = "INFO"
    # In a container, watcher, workers, Flower and page are containers of their own: it starts none.
    start_services: bool = True
    flower_url: str | None = None
    dashboard_url: str | None = None
    # Of a role that may only read, for the page; unset: it makes one.
    dashboard_database_url: str | None = None
    # The watcher answers Prometheus there; unset: it does not listen.
    metrics_address: str = "127.0.0.1"
    metrics_port: int | None = None
    # A worker touches it every few seconds, for the health checks of a container; unset: it does not.
    heartbeat_file: Path | None = None
    trial_soft_limit_seconds: int = 6 * 3600
    trial_hard_limit_seconds: int = 6 * 3600 + 600
    visibility_timeout_seconds: int = 7 * 3600

    @cached_property
    def artifacts(self) -> str:
        """URL of the folder that holds models, logs, checkpoints and prepared data sets."""
        url = self.artifact_url or (self.state_dir.resolve() / "artifacts").as_uri()
        return url.rstrip("/")

    @cached_property
    def cache_dir(self) -> Path:
        """Local folder for downloads and for copies of prepared data sets."""
        return self.state_dir.resolve() / "cache"


def load_settings() -> Settings:
    """Read the environment once; raises SpecError naming the variable that does not fit."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise SpecError(f"environment variable {name}: {first['msg']}; got {first['input']!r}") from error
