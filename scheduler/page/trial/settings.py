"""The settings of a trial, those that differ from their defaults first."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from shared.domain.families import default_training_of
from shared.domain.identity import non_default_fields
from shared.domain.trial import TrialConfig, parse_trial_config


@dataclass(frozen=True)
class Setting:
    """One setting; `default` is its default in words, empty where it has none or the value is it."""

    name: str
    value: str
    is_chosen: bool
    default: str = ""


def settings_of(config: Mapping[str, Any]) -> list[Setting]:
    """Of the architecture, then of the training; where this version cannot read them, as they are stored."""
    try:
        parsed = parse_trial_config(dict(config))
    except ValueError:
        return [
            Setting(_words(name), _text(value), is_chosen=False)
            for part in ("architecture", "training")
            for name, value in (config.get(part) or {}).items()
        ]
    found = [*_of_architecture(parsed), *_of_training(parsed)]
    return sorted(found, key=lambda one: not one.is_chosen)


def _of_architecture(config: TrialConfig) -> Iterator[Setting]:
    architecture = config.architecture
    chosen = non_default_fields(architecture)
    defaults = {one.name: one.default for one in fields(architecture)}
    for name, value in asdict(architecture).items():
        default = _text(_jsonable(defaults[name])) if name in chosen else ""
        yield Setting(_words(name), _text(_jsonable(value)), name in chosen, default)


def _of_training(config: TrialConfig) -> Iterator[Setting]:
    if config.training is None:
        return
    # Each family has defaults of its own.
    defaults = asdict(replace(default_training_of(config.architecture)))
    for name, value in asdict(config.training).items():
        differs = value != defaults[name]
        yield Setting(
            _words(name),
            _text(_jsonable(value)),
            differs,
            _text(_jsonable(defaults[name])) if differs else "",
        )


def _jsonable(value: object) -> object:
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        # A required field has no default.
        return None


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
