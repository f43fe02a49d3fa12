"""What the view of the data reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from shared.errors import SpecError
from shared.store.page.statements import reading


@dataclass(frozen=True)
class Version:
    """One stored version of a data set; `log_url` is of a trial that learned from it, if any did."""

    dataset_id: int
    name: str
    fingerprint: str
    is_synthetic: bool
    n_users: int
    n_items: int
    n_ratings: int
    rating_min: float
    rating_max: float
    prepared_at: datetime
    source: str | None
    source_read_at: datetime | None
    previous_id: int | None
    n_forgotten: int
    n_sweeps: int
    newest_sweep_id: int | None
    newest_protocol: Mapping[str, Any] | None
    is_of_sweep: bool
    log_url: str | None


@dataclass(frozen=True)
class PopularityStep:
    """Items with 2^(step-1) to 2^step - 1 ratings; step 0: with none."""

    step: int
    n_items: int
    n_ratings: int


@dataclass(frozen=True)
class GenreLine:
    """A genre with its items, and their ratings."""

    genre: str
    n_items: int
    n_ratings: int


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items."""

    n_items: int
    n_rated: int
    n_untitled: int
    n_with_genres: int


@dataclass(frozen=True)
class DataRecords:
    """All versions, newest first, and the one that is shown; None where nothing is stored."""

    versions: tuple[Version, ...]
    shown: Version | None = None
    catalogue: Catalogue | None = None
    popularity: tuple[PopularityStep, ...] = ()
    genres: tuple[GenreLine, ...] = ()


def read_data(engine: Engine, dataset_id: int | None, sweep_id: int | None = None) -> DataRecords:
    """The stored versions, one of them in full: that of the id, or of the sweep, else the newest.

    Raises SpecError where there is none of this id or sweep.
    """
    with reading(engine) as database:
        versions = tuple(
            Version(**row._mapping) for row in database.rows("data", "versions", sweep_id=sweep_id)
        )
        if not versions and dataset_id is None and sweep_id is None:
            return DataRecords(())
        shown = [
            one
            for one in versions
            if (
                one.dataset_id == dataset_id
                if dataset_id is not None
                else one.is_of_sweep or sweep_id is None
            )
        ]
        if not shown:
            asked = f"data set {dataset_id}" if dataset_id is not None else f"sweep {sweep_id}"
            raise SpecError(f"there is no {asked} in the database: it was never stored, or is gone")
        key = {"dataset_id": shown[0].dataset_id}
        return DataRecords(
            versions=versions,
            shown=shown[0],
            catalogue=Catalogue(**database.rows("data", "catalogue", **key)[0]._mapping),
            popularity=tuple(
                PopularityStep(**row._mapping) for row in database.rows("data", "popularity", **key)
            ),
            genres=tuple(GenreLine(**row._mapping) for row in database.rows("data", "genres", **key)),
        )
