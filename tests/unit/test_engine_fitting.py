"""Training in epochs around any family: early stopping, the best weights, resume, stop, failure."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import tensorflow as tf

from shared.domain.results import EpochRecord
from shared.domain.training import TrainingConfig
from shared.errors import TrialError
from tests.unit.test_tower_training import MemoryStore
from worker.engine.checkpoint import identify
from worker.engine.fitting import Judgement, fit_in_epochs, fitted_of, judge_scorer
from worker.engine.pace import Pace
from worker.families.contract import FitContext
from worker.observations import Observations
from worker.ranking.scorers import LinearScorer

TRAINING = TrainingConfig(max_epochs=10, patience=2)


@dataclass
class Doubling:
    """The weight is 1 and doubles every epoch; epoch n is worth values[n - 1]."""

    values: list[float]
    losses: list[float] = field(default_factory=lambda: [1.0] * 10)
    check_stop: object = lambda: None

    def initial_state(self):
        return {"weight": tf.constant([1.0]), "n_done": tf.constant(0)}

    def train_epoch(self, state, epoch):
        for _ in Pace(self.check_stop).chunks(1):
            state = {"weight": 2 * state["weight"], "n_done": state["n_done"] + 1}
        return state, self.losses[epoch - 1]

    def judge(self, state):
        return Judgement(objective=self.values[int(state["n_done"]) - 1])

    def weights(self, state):
        return {"weight": state["weight"].numpy()}


def fit(trainer, training=TRAINING, key="key", **context):
    return fit_in_epochs(trainer, training, FitContext(**context), lambda: key)


def outcome(progress):
    records = [replace(record, seconds=0.0) for record in progress.epochs]
    return records, progress.best["weight"].tolist(), progress.state["weight"].numpy().tolist()


def test_training_ends_after_patience_epochs_and_has_the_best_weights():
    progress = fit(Doubling([0.1, 0.3, 0.3, 0.2, 0.9]))
    # The best is the first of 0.3, in epoch 2; two epochs later it is over: weights 2^2 and 2^4.
    assert outcome(progress)[1:] == ([4.0], [16.0])
    fitted = fitted_of(progress, n_parameters=1)
    assert (fitted.best_epoch, fitted.val_loss, fitted.val_rmse) == (2, None, None)
    assert fitted.weights["weight"].tolist() == [4.0]


def test_a_refit_has_exactly_the_epochs_it_is_given_and_keeps_the_last():
    # Nothing judges them; patience 2 would end a training that gets no better.
    store = MemoryStore()
    progress = fit(Doubling([None] * 10), n_epochs=5, checkpoint=store)
    assert (progress.best_epoch, len(progress.epochs)) == (5, 5)
    assert progress.best["weight"].tolist() == [32.0]
    resumed = fit(Doubling([None] * 10), n_epochs=5, checkpoint=MemoryStore(store.contents[2]))
    assert outcome(resumed) == outcome(progress)


def test_less_is_better_where_the_context_says_so():
    progress = fit(Doubling([0.3, 0.1, 0.2, 0.3]), is_larger_better=False)
    assert progress.best_epoch == 2


@pytest.mark.parametrize("n_done", [1, 2, 3])
def test_resume_after_any_epoch_ends_the_same_and_reports_only_what_was_missing(n_done):
    values = [0.1, 0.3, 0.2, 0.2]
    store = MemoryStore()
    whole = outcome(fit(Doubling(values), checkpoint=store))
    assert len(store.contents) == 4
    epochs = []
    resumed = fit(
        Doubling(values),
        checkpoint=MemoryStore(store.contents[n_done - 1]),
        on_epoch=lambda record: epochs.append(record.epoch),
    )
    assert outcome(resumed) == whole
    assert epochs == list(range(n_done + 1, 5))


def test_a_checkpoint_of_another_training_is_ignored_with_a_warning(caplog):
    store = MemoryStore()
    fit(Doubling([0.1] * 10), checkpoint=store)
    epochs = []
    fit(Doubling([0.1] * 10), key="other", checkpoint=store, on_epoch=epochs.append)
    assert epochs[0].epoch == 1
    assert "checkpoint ignored" in caplog.text


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["loss", "objective"])
def test_a_value_that_is_not_finite_ends_the_trial_before_anything_is_written(bad, name):
    trainer = Doubling([bad if name == "objective" else 0.1], [bad if name == "loss" else 1.0])
    store, epochs = MemoryStore(), []
    with pytest.raises(TrialError, match=rf"{name} must stay finite; it became \S+ in epoch 1") as failure:
        fit(trainer, checkpoint=store, on_epoch=epochs.append)
    assert failure.value.reason == "not_finite_loss"
    assert not store.contents
    assert not epochs


def test_a_training_stops_within_an_epoch():
    class StoppedError(Exception):
        pass

    def stop():
        raise StoppedError

    with pytest.raises(StoppedError):
        fit(Doubling([0.1] * 10, check_stop=stop))


def test_a_training_that_is_ended_after_an_epoch_keeps_it_and_goes_on_to_the_same_result():
    class HopelessError(Exception):
        pass

    def stop_after_the_second(record):
        if record.epoch == 2:
            raise HopelessError

    values = [0.1, 0.3, 0.2, 0.2]
    store, later = MemoryStore(), []
    with pytest.raises(HopelessError):
        fit(Doubling(values), checkpoint=store, on_epoch=stop_after_the_second)
    assert len(store.contents) == 2
    resumed = fit(Doubling(values), checkpoint=store, on_epoch=lambda record: later.append(record.epoch))
    assert outcome(resumed) == outcome(fit(Doubling(values)))
    assert later == [3, 4]


def test_an_epoch_is_cut_into_chunks_that_cover_every_step_once(monkeypatch):
    clock = iter(np.arange(0, 1000, 2.0))
    monkeypatch.setattr("worker.engine.pace.time.perf_counter", lambda: next(clock))
    looks = []
    chunks = list(Pace(lambda: looks.append(1), first_chunk_steps=8).chunks(21))
    # Every chunk takes 2 s where 1 s is wanted: each is half as long as the last, but one step at least.
    assert chunks == [(0, 8), (8, 12), (12, 14), *((n, n + 1) for n in range(14, 21))]
    assert len(looks) == len(chunks)


def test_a_scorer_is_judged_by_rmse_and_objective():
    scorer = LinearScorer(np.zeros((2, 0)), np.zeros((2, 0)), np.array([3.0, 4.0]), np.zeros(2))
    validation = Observations(
        np.array([0, 1], np.int32), np.array([1, 0], np.int32), np.array([4, 4], np.float32)
    )
    # Errors 1 and 0: √(1/2). The sign of the objective is turned back.
    context = FitContext(objective_of=lambda _: -0.25, is_larger_better=False)
    judged = judge_scorer(scorer, validation, context)
    assert judged == Judgement(val_rmse=pytest.approx(0.5**0.5), objective=0.25)
    ranks_only = replace(scorer, predicts_ratings=False)
    assert judge_scorer(ranks_only, validation, FitContext()) == Judgement()


def test_a_training_is_identified_by_code_settings_and_data(monkeypatch):
    arrays = [np.arange(3), None]
    known = identify(("worker/engine",), {"size": 1}, arrays)
    assert known == identify(("worker/engine",), {"size": 1}, [np.arange(3), None])
    others = [
        identify(("worker/ranking",), {"size": 1}, arrays),
        identify(("worker/engine",), {"size": 2}, arrays),
        identify(("worker/engine",), {"size": 1}, [np.arange(3.0), None]),
        identify(("worker/engine",), {"size": 1}, [np.arange(1, 4), None]),
        identify(("worker/engine",), {"size": 1}, [np.arange(3), np.arange(0)]),
    ]
    assert len({known, *others}) == 6


def test_an_epoch_record_takes_what_the_judgement_gives():
    progress = fit(Doubling([0.5] * 10), replace(TRAINING, max_epochs=1))
    assert replace(progress.epochs[0], seconds=0.0) == EpochRecord(1, 1.0, None, None, 0.0, 0.5)
