"""The data set that a command was asked for, without those who were forgotten."""

from sqlalchemy import Engine

from shared import store
from shared.console import console
from shared.datasets import Dataset, ResolvedDataset, download_progress, resolve_dataset, without_users
from shared.settings import Settings


def read_named_data(name: str | None, settings: Settings) -> Dataset:
    """Read or download it, and say when it is not what the name leads a person to expect."""
    return resolve_named_data(name, settings).dataset


def resolve_named_data(name: str | None, settings: Settings) -> ResolvedDataset:
    """The same, with the source that gives it again."""
    with download_progress(console) as progress:
        resolved = resolve_dataset(name, settings, progress)
    if resolved.notice:
        console.print(resolved.notice, style="yellow")
    return resolved


def leave_out_forgotten(engine: Engine, dataset: Dataset) -> Dataset:
    """Without the users whom `make forget` removed and whom the source still has; says how many these are."""
    forgotten = store.forgotten_users(engine, dataset.name)
    if not forgotten.hashes:
        return dataset
    users = [user_id for user_id in dataset.user_ids.tolist() if forgotten.hold(user_id)]
    if not users:
        return dataset
    console.print(
        f"Left out of {dataset.name}: {len(users):,} who were forgotten and whom its source still has; "
        "remove them there too",
        style="yellow",
    )
    return without_users(dataset, users)
