"""Configurations have one identity: canonical form, hash and label."""

import json
from dataclasses import FrozenInstanceError, dataclass, fields, make_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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


def test_every_training_field_reaches_the_hash():
    changes = {
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "batch_size": 64,
        "max_epochs": 5,
        "patience": 9,
        "random_seed": 1,
    }
    assert set(changes) == {field.name for field in fields(TrainingConfig)}
    config = TrialConfig(Tower("dot", 8, (1,)), TrainingConfig())
    changed = [
        TrialConfig(config.architecture, replace(config.training, **{name: value})).config_hash
        for name, value in changes.items()
    ]
    assert len({config.config_hash, *changed}) == 1 + len(changes)


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


def test_an_unknown_family_is_refused():
    with pytest.raises(
        ValueError, match="family must be tower, item_popularity or user_item_bias; got 'ease'"
    ):
        parse_trial_config({"family": "ease", "architecture": {"l2": 300}})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().batch_size = 64


@pytest.mark.parametrize(
    "values",
    [{"baseline": "item_popularity", "training": TrainingConfig()}, {}, {"training": TrainingConfig()}],
)
def test_a_trial_is_an_architecture_or_a_baseline(values):
    if values.get("baseline"):
        values["architecture"] = Tower("dot", 8, (1,))
    with pytest.raises(ValidationError, match="a trial is an architecture with its training, or a baseline"):
        TrialConfig(**values)


def test_protocol_survives_json():
    protocol = Protocol(k=5, embedding_rows="max_id")
    assert parse_protocol(json.loads(json.dumps(protocol.canonical))) == protocol
