"""Which blends a sweep file asks for, decided from its trials alone."""

from datetime import UTC, datetime

import pytest

from scheduler.sweep.blends import asked_blends, blend, stored_blends
from scheduler.sweep.spec import read_spec
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from shared.store import GrowingSweep, Sweep, Trial

_MODELS = "".join(f'[[models]]\nfamily = "{name}"\n' for name in ("ease", "item_knn", "weighted_als"))
_RANKS = '[protocol]\nobjective = "ndcg"\n'
PROTOCOL = Protocol(objective="ndcg")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def read(tmp_path):
    def call(text, protocol=_RANKS, models=_MODELS):
        path = tmp_path / "sweep.toml"
        path.write_text(models + text + protocol, encoding="utf-8")
        return read_spec(path)

    return call


def trial(number, architecture, objective=None, status="succeeded", **changes):
    config = TrialConfig(architecture)
    return Trial(
        trial_id=number,
        sweep_id=1,
        label=config.label,
        config=config,
        config_hash=config.config_hash,
        status=status,
        attempt=1,
        attempts_allowed=3,
        worker=None,
        epoch=None,
        val_rmse=None,
        error_reason=changes.pop("error_reason", None),
        error_message=changes.pop("error_message", None),
        queued_at=NOW,
        started_at=None,
        finished_at=None,
        objective=objective,
        **changes,
    )


TRIALS = (
    trial(1, Ease(l2=2.0), 0.30),
    trial(2, Ease(l2=3.0), 0.33),
    trial(3, ItemKnn(), 0.25),
    trial(4, WeightedAls(), 0.31),
    trial(5, ItemPopularity(), 0.9),
)


def growing(trials):
    sweep = Sweep(1, "small", 1, "tiny", "f" * 16, True, PROTOCOL, "test", NOW, {}, growing_since=NOW)
    return GrowingSweep(sweep, tuple(trials), ())


def families(step):
    return [[part.label for part in config.architecture.parts] for config in step.configs]


def test_the_best_trial_of_each_of_the_best_families_is_a_part(read):
    spec = read("[[blends]]\nof_best = 2\n[[blends]]\nweights = 'validation'\n")
    step = blend(spec, growing(TRIALS))
    assert step.is_over
    assert families(step) == [["ease_l2-3", "weighted_als"], ["ease_l2-3", "item_knn", "weighted_als"]]
    assert [config.architecture.weights for config in step.configs] == ["equal", "validation"]


def test_named_families_are_taken_whatever_they_reach(read):
    step = blend(read('[[blends]]\nfamilies = ["item_knn", "ease"]\n'), growing(TRIALS))
    assert families(step) == [["ease_l2-3", "item_knn"]]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_blend_waits_for_every_other_trial(read, status):
    spec = read("[[blends]]\nof_best = 2\n")
    step = blend(spec, growing([*TRIALS, trial(6, ItemKnn(neighbours=7), status=status)]))
    assert (step.configs, step.is_over) == ((), False)
    # Another blend holds nobody up.
    (config,) = blend(spec, growing(TRIALS)).configs
    open_blend = trial(6, config.architecture, status=status, asked_by="blends")
    assert blend(spec, growing([*TRIALS, open_blend])).configs == (config,)


def test_a_file_without_blends_asks_for_none(read):
    assert blend(read(""), growing(TRIALS)).configs == ()


def test_a_better_trial_makes_another_blend_and_a_blend_is_no_part(read):
    spec = read("[[blends]]\nof_best = 2\n")
    (first,) = blend(spec, growing(TRIALS)).configs
    done = trial(6, first.architecture, 0.5, asked_by="blends")
    (second,) = blend(spec, growing([*TRIALS, done, trial(7, Ease(l2=4.0), 0.4)])).configs
    assert families(blend(spec, growing([*TRIALS, done]))) == [["ease_l2-3", "weighted_als"]]
    assert [part.label for part in second.architecture.parts] == ["ease_l2-4", "weighted_als"]


def test_a_family_that_failed_leaves_no_blend_and_its_reason(read):
    spec = read("[[blends]]\n")
    failed = trial(4, WeightedAls(), status="failed", error_reason="disk_full", error_message="no space left")
    asked = asked_blends(spec, [*TRIALS[:3], failed], PROTOCOL)
    assert asked.configs == ()
    assert asked.impossible == (
        "no blend of the best 3 families: weighted_als has no succeeded trial, weighted_als failed "
        "(disk_full: no space left). `make sweep` makes it when they have succeeded.",
    )
    # Of two families there are enough.
    assert len(asked_blends(read("[[blends]]\nof_best = 2\n"), [*TRIALS[:3], failed], PROTOCOL).configs) == 1
    named = read('[[blends]]\nfamilies = ["ease", "weighted_als"]\n')
    assert (
        "no blend of ease, weighted_als: weighted_als has"
        in asked_blends(named, [failed, *TRIALS[:3]], PROTOCOL).impossible[0]
    )


def test_stored_blends_of_the_best_parts_are_asked_for_and_no_others(read):
    spec = read("[[blends]]\n")
    (config,) = blend(spec, growing(TRIALS)).configs
    stored = trial(6, config.architecture, status="failed", asked_by="blends")
    assert stored_blends(spec, TRIALS) == []
    assert stored_blends(spec, [*TRIALS, stored]) == [config]
    assert stored_blends(read(""), [*TRIALS, stored]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[blends]]\nof_best = 1\n", r"blends\[0\]\.of_best: .*greater than or equal to 2; got 1"),
        ("[[blends]]\nof_best = 4\n", r"blends\[0\]: .*: ease, item_knn, weighted_als; got of_best = 4"),
        ('[[blends]]\nfamilies = ["ease", "tower"]\n', r"blends\[0\]: .*got tower"),
        ('[[blends]]\nfamilies = ["ease", "ease"]\n', "each once; got ease, ease"),
        ('[[blends]]\nof_best = 2\nfamilies = ["ease", "item_knn"]\n', "of_best or families, not both"),
        ('[[blends]]\nweights = "best"\n', r"blends\[0\]\.weights: .*'equal' or 'validation'"),
        ("[[blends]]\nbest = 2\n", r"blends\[0\]\.best: unknown key; known are of_best, families, weights"),
        ('[[models]]\nfamily = "blend"\n', r"models: \[3\]: a blend is of trials.*\[\[blends\]\]"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_blend_is_told_in_a_line(read, text, message):
    with pytest.raises(SpecError, match=message) as told:
        read(text)
    assert "\n" not in str(told.value)


def test_a_blend_needs_an_objective_that_judges_lists(read):
    with pytest.raises(SpecError, match=r"blends\[0\]: a blend ranks and predicts no ratings.*rmse"):
        read("[[blends]]\n", protocol="")
