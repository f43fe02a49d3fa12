"""Configurations have one identity: canonical form, hash and label."""

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.architecture import Architecture, TrainingConfig, TrialConfig, parse_trial_config
from shared.domain.protocol import Protocol, parse_protocol

_ARCHITECTURES = st.builds(
    Architecture,
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
    config = TrialConfig(Architecture("concatenate", 50, (64, 32, 1)), TrainingConfig())
    assert config.label == "concatenate_50_64_32_1"


def test_label_lists_what_differs_from_the_defaults():
    config = TrialConfig(
        Architecture("dot", 8, (4, 1), "relu"), TrainingConfig(optimizer="adam", random_seed=3)
    )
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
    config = TrialConfig(Architecture("dot", 8, (1,)), TrainingConfig())
    changed = [
        TrialConfig(config.architecture, replace(config.training, **{name: value})).config_hash
        for name, value in changes.items()
    ]
    assert len({config.config_hash, *changed}) == 1 + len(changes)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().batch_size = 64


@pytest.mark.parametrize(
    "values",
    [{"baseline": "item_popularity", "training": TrainingConfig()}, {}, {"training": TrainingConfig()}],
)
def test_a_trial_is_an_architecture_or_a_baseline(values):
    if values.get("baseline"):
        values["architecture"] = Architecture("dot", 8, (1,))
    with pytest.raises(ValidationError, match="a trial is an architecture with its training, or a baseline"):
        TrialConfig(**values)


def test_protocol_survives_json():
    protocol = Protocol(k=5, embedding_rows="max_id")
    assert parse_protocol(json.loads(json.dumps(protocol.canonical))) == protocol
