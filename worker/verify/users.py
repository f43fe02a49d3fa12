"""Stored results of users beside those that the saved model gives."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from shared import store
from shared.datasets import Dataset
from shared.store import Hits, StoredUserResults, UserResults

# Some roundings of float32, as for predictions: the order of a sum depends on the number of threads.
_ERROR_TOLERANCE = 1e-6


def user_differences(
    engine: Engine,
    trial_id: int,
    recomputed: Mapping[str, UserResults],
    dataset: Dataset,
    with_hits: Collection[str],
) -> list[str]:
    """What differs between the stored and the recomputed results of users, in words.

    `with_hits`: the parts of the split whose hits are stored.
    """
    differences = []
    for part, expected in recomputed.items():
        stored = store.stored_user_results(engine, trial_id, part)
        places = _places(stored, dataset)
        if not np.array_equal(np.sort(places), expected.user_index):
            differences.append(f"stored results of users on {part} are not those of its users")
            continue
        order = np.argsort(places)
        wrong = [
            name
            for name, values in _columns(expected).items()
            if not _are_alike(_stored_column(stored, name)[order], values, name)
        ]
        if wrong:
            differences.append(f"stored results of users on {part} differ in {', '.join(wrong)}")
        if part in with_hits and not _are_same_hits(
            store.stored_hits(engine, trial_id, part, dataset), expected.hits
        ):
            differences.append(f"stored hits of users on {part} differ from the model's")
    return differences


def _are_same_hits(stored: Hits, expected: Hits) -> bool:
    names = ("user_index", "rank", "item_index")
    return all(np.array_equal(getattr(stored, name), getattr(expected, name)) for name in names)


def _places(stored: StoredUserResults, dataset: Dataset) -> npt.NDArray[np.int64]:
    """The user_index of every stored row; -1 for an unknown id."""
    index = {user_id: place for place, user_id in enumerate(dataset.user_ids.tolist())}
    return np.array([index.get(user_id, -1) for user_id in stored.user_ids.tolist()], np.int64)


def _columns(results: UserResults) -> dict[str, npt.NDArray[np.float64]]:
    nothing = np.full(len(results.user_index), np.nan)
    return {
        "n_train_ratings": results.n_train_ratings.astype(np.float64),
        "n_ratings": results.n_ratings.astype(np.float64),
        "squared_error": nothing if results.squared_error is None else results.squared_error,
        "absolute_error": nothing if results.absolute_error is None else results.absolute_error,
        **{name: values.astype(np.float64) for name, values in results.rankings.items()},
    }


def _stored_column(stored: StoredUserResults, name: str) -> npt.NDArray[np.float64]:
    if name in ("n_train_ratings", "n_ratings"):
        return np.asarray(getattr(stored, name), np.float64)
    return stored.values[name]


def _are_alike(stored: npt.NDArray[np.float64], expected: npt.NDArray[np.float64], name: str) -> bool:
    if name in ("squared_error", "absolute_error"):
        tolerance = _ERROR_TOLERANCE
        return bool(np.allclose(stored, expected, rtol=tolerance, atol=tolerance, equal_nan=True))
    return np.array_equal(stored, expected, equal_nan=True)
