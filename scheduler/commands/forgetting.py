"""`make forget`: one user out of every list, every result and every prepared data set, for good."""

from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import Engine

from scheduler.commands.connection import open_store
from scheduler.commands.housekeeping import YES_OPTION
from shared import store
from shared.console import confirm, console
from shared.datasets import canonical_id, has_prepared, load_prepared, replace_prepared, without_users
from shared.datasets.sources.read_before import forget_sources
from shared.errors import SpecError, StoreError
from shared.settings import load_settings
from shared.store import DatasetVersion


@click.command()
@click.option("--user", "user_id", envvar="RECSWEEP_USER", default=None, help="Id of a user.")
@click.option("--dataset", "dataset_name", envvar="DATASET", default=None, help="A name that is stored.")
@YES_OPTION
def forget(user_id: str | None, dataset_name: str | None, yes: bool) -> None:
    """Remove a user from all lists and prepared data of a data set, and from what its source gives later."""
    if not user_id:
        raise SpecError("which user? make forget USER=2000 DATASET=name")
    user_id = canonical_id(user_id)
    settings = load_settings()
    engine, endpoints = open_store(settings)
    name = _choose(engine, dataset_name)
    # A refresh that has read the source and not stored it yet would bring the user back.
    with store.refresh_lock(endpoints.database_url, name) as is_ours:
        if not is_ours:
            raise StoreError(f"{name} is being refreshed: wait for the end of that, then run this again")
        store.check_nothing_open(engine, name)
        place = _Place(store.artifact_root(engine, settings.artifacts), settings.cache_dir)
        _forget(engine, name, user_id, place, yes=yes)


@dataclass(frozen=True)
class _Place:
    """Where prepared data sets lie, and where this machine keeps copies."""

    artifact_root: str
    cache_dir: Path

    def count_ratings(self, version: DatasetVersion, user_id: str) -> int:
        """The ratings of a user in a prepared data set; none where the file is gone."""
        if not has_prepared(self.artifact_root, version.fingerprint):
            return 0
        dataset = load_prepared(self.artifact_root, version.fingerprint, self.cache_dir)
        found = (dataset.user_ids == user_id).nonzero()[0]
        if not len(found):
            return 0
        if dataset.n_users == 1:
            raise SpecError(
                f"{user_id!r} is the only user of {version.name}: `make clean` deletes everything"
            )
        return int((dataset.user_index == found[0]).sum())

    def leave_out(self, version: DatasetVersion, user_id: str) -> None:
        """Write a prepared data set anew, under its name, without a user."""
        dataset = load_prepared(self.artifact_root, version.fingerprint, self.cache_dir)
        left = without_users(dataset, {user_id})
        replace_prepared(self.artifact_root, version.fingerprint, left, self.cache_dir)


def _choose(engine: Engine, name: str | None) -> str:
    names = store.dataset_names(engine)
    known = f"stored are {', '.join(names)}" if names else "none is stored yet"
    if name is None:
        if len(names) != 1:
            raise SpecError(f"ids of users belong to one data set: name it with DATASET=; {known}")
        return names[0]
    if name not in names:
        raise SpecError(f"DATASET must be the name of a stored data set; got {name!r}; {known}")
    return name


def _forget(engine: Engine, name: str, user_id: str, place: _Place, *, yes: bool) -> None:
    versions = store.dataset_versions(engine, name)
    n_ratings = {one: place.count_ratings(one, user_id) for one in versions}
    having = [one for one in versions if n_ratings[one]]
    dataset_ids = {one.dataset_id for one in having} | set(store.versions_with_lists(engine, name, user_id))
    if not dataset_ids:
        if store.forgotten_users(engine, name).hold(user_id):
            console.print(f"This user of {name} was forgotten already: nothing is left to remove.")
            return
        raise SpecError(f"no stored version of {name} has a user {user_id!r}")
    if not yes:
        confirm(f"Remove user {user_id} from all lists and prepared data of {name}, for good?")
    # The database first: if what follows is interrupted, the same command finds the files that are left.
    n_rows = store.forget_user(engine, name, user_id, sorted(dataset_ids))
    for version in having:
        place.leave_out(version, user_id)
    forget_sources(place.cache_dir)
    console.print(
        f"Removed one user of {name}: {n_rows:,} rows of lists and results, and {sum(n_ratings.values()):,} "
        f"ratings in {len(having)} prepared data sets."
    )
    _print_models(engine, name, sorted(dataset_ids))
    console.print(
        "The source is not ours: remove the user there too. Until then every read leaves them out, by a hash "
        "of the id. Workers drop their copies of the data before their next trial; backups are yours."
    )


def _print_models(engine: Engine, name: str, dataset_ids: list[int]) -> None:
    """Which models the ratings have shaped, and what makes others."""
    shaped = store.shaped_models(engine, dataset_ids)
    if not shaped:
        return
    console.print("Models that learned from these ratings too stay as they are:")
    for one in shaped:
        labels = (f"{label} (served)" if label in one.served else label for label in one.labels)
        console.print(f"  sweep {one.sweep_id} {one.sweep_name}: {', '.join(labels)}")
    source = store.dataset_versions(engine, name)[0].source or name
    again = f"refresh DATASET={name}" if name in store.promoted_names(engine) else f"sweep DATASET={source}"
    console.print(
        f"To serve one that has not: make {again}. To delete the older ones then: make prune KEEP=1"
    )
