"""Every family: a fit is the same again, goes on where it stopped, stops when told, and stays small."""

import io
import pickle
import time
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from shared.domain.families import FAMILIES
from tests.contract.cases import (
    CASES,
    Case,
    cases_with_checkpoints,
    cases_with_seeds,
    every_case,
    first_case_of_every_family,
)
from tests.contract.data import LIKE_ORDINARY, ORDINARY, SIZEABLE
from tests.contract.fits import Checkpoints, StoppedError, assert_same_weights, fit, fitted, module_of
from worker.process.memory import peak_memory_bytes, reset_peak_memory, return_memory

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def test_every_family_has_a_case():
    # A blend is fitted from models, not from ratings: tests/unit/test_families_blend.py judges it alike.
    missing = sorted(FAMILIES.keys() - CASES.keys() - {"blend"})
    assert not missing, (
        f"these families are not in the contract suite: {', '.join(missing)}; "
        "add an entry of each to CASES in tests/contract/cases.py, with a configuration that fits quickly"
    )
    assert all(case.architecture.family == family for family, cases in CASES.items() for case in cases)


@every_case
def test_a_case_has_training_settings_if_its_family_has_epochs(case):
    assert (case.training is not None) == case.architecture.has_epochs


@every_case
def test_a_fit_is_the_same_again_bit_for_bit(case):
    again = fit(case, ORDINARY)

    assert_same_weights(fitted(case, ORDINARY), again)
    assert again.n_parameters == fitted(case, ORDINARY).n_parameters > 0


@cases_with_seeds
def test_another_seed_gives_another_fit(case):
    other = fit(case.with_other_seed(), ORDINARY)

    weights = fitted(case, ORDINARY).weights
    assert any(not np.array_equal(array, other.weights[name]) for name, array in weights.items())


@every_case
def test_epochs_are_told_where_the_family_has_them(case):
    result = fitted(case, ORDINARY)

    if case.architecture.has_epochs:
        assert [record.epoch for record in result.epochs] == list(range(1, len(result.epochs) + 1))
        best = result.epochs[result.best_epoch - 1]
        assert (best.val_loss, best.val_rmse) == (result.val_loss, result.val_rmse)
    else:
        assert result.epochs == ()
        assert result.best_epoch is None


@pytest.fixture
def even_pace(monkeypatch):
    """As many looks whether to stop in one fit as in the next, however busy the machine is."""
    monkeypatch.setattr("worker.engine.pace.time", SimpleNamespace(perf_counter=lambda: 0.0))


@cases_with_checkpoints
def test_a_fit_resumed_from_any_checkpoint_is_the_uninterrupted_one(case, monkeypatch):
    save_often(case, monkeypatch)
    store, records = Checkpoints(), []
    assert_same_weights(
        fit(case, ORDINARY, checkpoint=store, on_epoch=records.append), fitted(case, ORDINARY)
    )
    assert len(store.contents) == len(records) > 1

    for n_done in sorted({1, len(records) // 2, len(records)}):
        later = []
        checkpoint = Checkpoints(store.contents[n_done - 1])
        resumed = fit(case, ORDINARY, checkpoint=checkpoint, on_epoch=later.append)

        assert_same_weights(resumed, fitted(case, ORDINARY))
        assert [told(record) for record in later] == [told(record) for record in records[n_done:]]
        assert resumed.best_epoch == fitted(case, ORDINARY).best_epoch


@cases_with_checkpoints
def test_a_fit_that_is_ended_after_an_epoch_goes_on_to_the_uninterrupted_result(case, monkeypatch):
    save_often(case, monkeypatch)
    store, records = Checkpoints(), []

    def end_after_the_first(record):
        records.append(record)
        raise StoppedError

    with pytest.raises(StoppedError):
        fit(case, ORDINARY, checkpoint=store, on_epoch=end_after_the_first)
    assert len(records) == 1
    # A family with epochs keeps the one that it was ended after.
    assert len(store.contents) == (case.training is not None)

    assert_same_weights(fit(case, ORDINARY, checkpoint=store), fitted(case, ORDINARY))


@cases_with_checkpoints
def test_a_fit_stopped_between_checkpoints_goes_on_from_the_last(case, monkeypatch, even_pace):
    save_often(case, monkeypatch)
    uninterrupted, saved = Checkpoints(), []
    fit(
        case, ORDINARY, checkpoint=uninterrupted, check_stop=lambda: saved.append(len(uninterrupted.contents))
    )
    # Amid the looks after the first checkpoint: what is done before the first epoch may ask often.
    n_before = saved.count(0)
    store = Checkpoints()
    with pytest.raises(StoppedError):
        fit(case, ORDINARY, checkpoint=store, check_stop=stop_at((n_before + len(saved)) // 2 + 1))
    assert store.contents

    assert_same_weights(fit(case, ORDINARY, checkpoint=store), fitted(case, ORDINARY))


@cases_with_checkpoints
@pytest.mark.parametrize("fault", ["cut off", "no archive", "pickles", "of another seed", "of other data"])
def test_a_checkpoint_that_cannot_be_used_is_ignored_with_a_warning(case, fault, monkeypatch, caplog):
    save_often(case, monkeypatch)
    store = Checkpoints()
    other = case.with_other_seed() if fault == "of another seed" else case
    fit(other, LIKE_ORDINARY if fault == "of other data" else ORDINARY, checkpoint=store)
    (content,) = store.contents[-1:]
    damaged = {"cut off": content[: len(content) // 2], "no archive": b"npz", "pickles": pickles()}

    result = fit(case, ORDINARY, checkpoint=Checkpoints(damaged.get(fault, content)))

    assert "checkpoint ignored" in caplog.text
    assert_same_weights(result, fitted(case, ORDINARY))


@cases_with_checkpoints
def test_a_checkpoint_holds_no_pickles(case, monkeypatch):
    save_often(case, monkeypatch)
    store = Checkpoints()
    fit(case, ORDINARY, checkpoint=store)

    with np.load(io.BytesIO(store.contents[-1]), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


@every_case
def test_a_fit_stops_when_it_is_told(case, even_pace):
    n_calls = count_calls(case)
    assert (n_calls > 0) == case.asks

    for number in sorted({1, n_calls // 2 + 1, n_calls} if n_calls else ()):
        with pytest.raises(StoppedError):
            fit(case, ORDINARY, check_stop=stop_at(number))


@first_case_of_every_family
def test_a_fit_of_some_size_asks_often(case):
    # CPU seconds, because others use the machine too. The compiler, which asks nobody, takes most.
    assert fit_sizeable(case)[0] < (8 if case.asks else 1)


@first_case_of_every_family
def test_a_fit_of_some_size_takes_far_less_memory_than_users_times_items(case):
    n_users, n_items = SIZEABLE.shape
    assert fit_sizeable(case)[1] < 4 * n_users * n_items / 2


@cache
def fit_sizeable(case: Case) -> tuple[float, float]:
    """Longest time without a look whether to stop, in CPU seconds, and growth of the memory, in bytes."""
    fitted(case, ORDINARY)  # Imports, and loops that are compiled for any size.
    data = SIZEABLE.data
    assert data.by_user.nnz
    return_memory()
    reset_peak_memory()
    before = peak_memory_bytes()
    looks = [time.process_time()]
    result = fit(case, SIZEABLE, check_stop=lambda: looks.append(time.process_time()))
    looks.append(time.process_time())
    scorer = module_of(case).make_scorer(case.architecture, result.weights, data)
    assert np.isfinite(scorer.score_block(np.arange(100))).all()
    return float(np.diff(looks).max()), peak_memory_bytes() - before


def count_calls(case: Case) -> int:
    calls = []
    fit(case, ORDINARY, check_stop=lambda: calls.append(1))
    return len(calls)


def stop_at(number: int):
    calls = []

    def check_stop() -> None:
        calls.append(1)
        if len(calls) == number:
            raise StoppedError

    return check_stop


def save_often(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.checkpoint_seconds is not None:
        monkeypatch.setattr(case.checkpoint_seconds, -1)


def told(record) -> tuple[object, ...]:
    """All but the seconds."""
    return record.epoch, record.loss, record.val_loss, record.val_rmse


def pickles() -> bytes:
    file = io.BytesIO()
    np.savez(file, belongs_to=np.array([{"a": 1}], dtype=object))
    assert pickle.dumps({"a": 1})[:2] in file.getvalue()
    return file.getvalue()
