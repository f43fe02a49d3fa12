"""Configurations have one identity: canonical form, hash and label."""

import json
import re
from dataclasses import FrozenInstanceError, dataclass, fields, make_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.families import FAMILIES
from shared.domain.families.blend import BlendPart
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.tower import Tower
from shared.domain.identity import identity_hash, non_default_fields
from shared.domain.protocol import Protocol, parse_protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig, parse_trial_config

_ARCHITECTURES = st.builds(
    Tower,
    merge=st.sampled_from(["concatenate", "multiply", "average", "dot"]),
    embedding_size=st.integers(1, 512),
    dense_layers=st.lists(st.integers(1, 256), max_size=4).map(lambda layers: (*layers, 1)),
    activation=st.sampled_from(["linear", "relu", "tanh"]),
)
_TRAININGS = st.builds(
    TrainingConfig,
    optimizer=st.sampled_from(["adamax", "adam", "sgd"]),
    learning_rate=st.sampled_from([0.001, 0.01, 0.1]),
    batch_size=st.sampled_from([1, 32, 1024]),
    max_epochs=st.integers(1, 40),
    patience=st.integers(1, 5),
    random_seed=st.integers(0, 99),
)
_CONFIGS = st.builds(TrialConfig, architecture=_ARCHITECTURES, training=_TRAININGS)


def test_label_of_a_reference_architecture_is_the_name_of_the_log():
    config = TrialConfig(Tower("concatenate", 50, (64, 32, 1)), TrainingConfig())
    assert config.label == "concatenate_50_64_32_1"


def test_label_lists_what_differs_from_the_defaults():
    config = TrialConfig(Tower("dot", 8, (4, 1), "relu"), TrainingConfig(optimizer="adam", random_seed=3))
    assert config.label == "dot_8_4_1_relu_adam_seed3"


@given(_CONFIGS, _CONFIGS)
def test_labels_are_equal_exactly_when_configurations_are(first, second):
    assert (first.label == second.label) == (first == second) == (first.config_hash == second.config_hash)


@given(_CONFIGS)
def test_canonical_form_survives_json(config):
    assert parse_trial_config(json.loads(json.dumps(config.canonical))) == config


def test_every_training_field_reaches_the_hash(monkeypatch):
    changes = {
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "batch_size": 64,
        "max_epochs": 5,
        "patience": 9,
        "random_seed": 1,
        "schedule": "cosine",
    }
    assert set(changes) == {field.name for field in fields(TrainingConfig)}
    monkeypatch.delattr(Tower, "schedules")
    config = TrialConfig(Tower("dot", 8, (1,)), TrainingConfig())
    changed = [
        TrialConfig(config.architecture, replace(config.training, **{name: value})).config_hash
        for name, value in changes.items()
    ]
    assert len({config.config_hash, *changed}) == 1 + len(changes)


def test_a_cosine_schedule_falls_from_the_learning_rate_to_nothing():
    training = TrainingConfig(learning_rate=0.2, max_epochs=4, schedule="cosine")
    # (1 + cos(0, π/4, π/2, 3π/4)) / 2 of 0.2
    rates = [0.2, 0.1 * (1 + 0.5**0.5), 0.1, 0.1 * (1 - 0.5**0.5)]
    assert [training.learning_rate_of(epoch) for epoch in (1, 2, 3, 4)] == pytest.approx(rates)
    assert replace(training, schedule="constant").learning_rate_of(4) == 0.2


def test_with_a_single_dense_layer_the_activation_is_none():
    linear = TrialConfig(Tower("dot", 8, (1,)), TrainingConfig())
    relu = TrialConfig(Tower("dot", 8, (1,), "relu"), TrainingConfig())
    assert (relu, relu.config_hash, relu.label) == (linear, linear.config_hash, "dot_8_1")
    assert Tower("dot", 8, (4, 1), "relu").activation == "relu"


def test_only_the_fields_that_differ_from_their_default_are_hashed():
    assert non_default_fields(TrainingConfig(batch_size=64)) == {"batch_size": 64}
    assert non_default_fields(Tower("dot", 8, (4, 1))) == {
        "merge": "dot",
        "embedding_size": 8,
        "dense_layers": [4, 1],
    }
    assert non_default_fields(Protocol(relevance_threshold=4)) == {}


@dataclass(frozen=True)
class _Old:
    size: int
    rate: float = 0.5


@pytest.mark.parametrize("value", [_Old(1), _Old(1, 0.25)])
def test_a_new_field_with_a_default_changes_no_hash_and_collides_with_none(value):
    grown_class = make_dataclass(
        "Grown", [("size", int), ("rate", float, 0.5), ("depth", int, 1)], frozen=True
    )
    grown = grown_class(value.size, value.rate)
    assert identity_hash("kind", record=grown) == identity_hash("kind", record=value)
    deeper = grown_class(value.size, value.rate, depth=2)
    assert identity_hash("kind", record=deeper) != identity_hash("kind", record=value)


def test_the_kind_and_the_name_of_the_record_count():
    assert (
        len({identity_hash("a", x=_Old(1)), identity_hash("b", x=_Old(1)), identity_hash("a", y=_Old(1))})
        == 3
    )


def test_the_hashes_that_databases_hold_stay_what_they_are():
    # Taken from a database; a change here would run every stored trial again.
    config = TrialConfig(Tower("concatenate", 50, (64, 32, 1)), TrainingConfig())
    assert config.config_hash == "8e983adaf548c57a"
    assert TrialConfig(ItemPopularity()).config_hash == "813b7bb1caa5b268"
    assert Protocol().protocol_hash == "818bb4d279050134"


def test_an_unknown_family_or_field_is_refused_in_a_line():
    with pytest.raises(ValueError, match=r"family must be one of tower, ease, .*; got 'easy'"):
        parse_trial_config({"family": "easy", "architecture": {"l2": 300}})
    with pytest.raises(ValueError, match=r"^l3: Unexpected keyword argument$"):
        parse_trial_config({"family": "ease", "architecture": {"l3": 300}})


def test_a_family_without_settings_needs_no_architecture_to_be_read():
    # So version 0.1's baselines are stored after the upgrade.
    assert parse_trial_config({"family": "item_popularity"}) == TrialConfig(ItemPopularity())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_label_a_cost_and_a_form_that_survives_json(name):
    parts = [TrialConfig(Ease()), TrialConfig(ItemPopularity())]
    required = {
        "tower": {"merge": "dot", "embedding_size": 4, "dense_layers": (1,)},
        "blend": {"parts": tuple(BlendPart(one.config_hash, one.label, one.canonical) for one in parts)},
    }
    architecture = FAMILIES[name](**required.get(name, {}))
    config = TrialConfig(architecture, TrainingConfig() if architecture.has_epochs else None)
    assert config.family == name
    assert re.fullmatch(r"[a-z0-9_.-]+", config.label)
    assert config.expected_cost >= 0
    assert parse_trial_config(json.loads(json.dumps(config.canonical))) == config


def test_a_label_names_what_differs_from_the_defaults_of_any_family():
    assert Ease().label == "ease"
    assert Ease(l2=1000, input="ones", user_weight=0.5).label == "ease_l2-1000_ones_userweight-0.5"


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().batch_size = 64


@pytest.mark.parametrize(
    ("architecture", "training", "rule"),
    [
        (Tower("dot", 8, (1,)), None, "tower needs training settings"),
        (Ease(), TrainingConfig(), "ease has no epochs and takes no training settings"),
        ("ease", None, "an architecture must be of one of tower, ease"),
    ],
)
def test_training_belongs_to_families_with_epochs(architecture, training, rule):
    with pytest.raises(ValidationError, match=rule):
        TrialConfig(architecture, training)


@pytest.mark.parametrize(
    ("values", "objective", "is_larger_better"),
    [
        ({}, "rmse", False),
        ({"objective": "ndcg"}, "ndcg@20", True),
        ({"objective": "ndcg@5", "k": 5}, "ndcg@5", True),
        ({"objective": "mae"}, "mae", False),
    ],
)
def test_the_objective_has_the_length_of_the_lists(values, objective, is_larger_better):
    protocol = Protocol(**values)
    assert (protocol.objective, protocol.is_larger_better) == (objective, is_larger_better)


@pytest.mark.parametrize("objective", ["ndcg@10", "rmse@20", "coverage@20", "", "NDCG"])
def test_an_objective_that_cannot_select_is_refused_with_the_known_ones(objective):
    with pytest.raises(ValidationError, match="objective must be one of rmse, mae, ndcg@20, recall@20"):
        Protocol(objective=objective)


def test_something_must_be_left_to_learn_from():
    with pytest.raises(ValidationError, match="together must leave something to learn from"):
        Protocol(validation_fraction=0.5, test_fraction=0.5)


def test_protocol_survives_json():
    protocol = Protocol(k=5, embedding_rows="max_id")
    assert parse_protocol(json.loads(json.dumps(protocol.canonical))) == protocol
