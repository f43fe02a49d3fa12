"""Identity of databases and configurations; hashes that a new field with a default does not change.

Version 0.1 hashed every field. The new hashes are computed here by the rules and defaults of this migration,
not by the code of the day, which goes on.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy import Connection, text

revision = "0002"
down_revision = "0001"

_SCHEMA = 1
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "architecture": {"activation": "linear"},
    "training": {
        "optimizer": "adamax",
        "learning_rate": 0.001,
        "batch_size": 32,
        "max_epochs": 30,
        "patience": 2,
        "random_seed": 4,
    },
    "protocol": {
        "validation_fraction": 0.1,
        "split_seed": 0,
        "k": 20,
        "min_support": 1,
        "relevance_threshold": 4.0,
        "embedding_rows": "catalogue",
    },
}


def upgrade() -> None:
    """Change the tables, then compute the hashes anew."""
    connection = op.get_bind()
    statements = Path(__file__).with_name("0002_identity.sql").read_text("utf-8")
    connection.exec_driver_sql(statements, execution_options={"no_parameters": True})
    _rehash_protocols(connection)
    _rehash_trials(connection)


def _rehash_protocols(connection: Connection) -> None:
    update = text("update sweeps set protocol_hash = :hash where sweep_id = :sweep_id")
    for row in connection.execute(text("select sweep_id, protocol from sweeps")).all():
        parameters = {"sweep_id": row.sweep_id, "hash": _hash("protocol", protocol=row.protocol)}
        connection.execute(update, parameters)


def _rehash_trials(connection: Connection) -> None:
    """With a single dense layer the activation means nothing: version 0.1 may have trained it twice.

    The first that succeeded takes the hash, the others keep the one they had: all keep their results.
    """
    rows = connection.execute(
        text("""
            select trial_id, sweep_id, config
            from trials
            order by sweep_id, status <> 'succeeded', trial_id
        """)
    ).all()
    update = text("update trials set config_hash = :hash where trial_id = :trial_id")
    taken = set()
    for row in rows:
        parts = {name: dict(part) for name, part in row.config.items() if name != "family"}
        if len(parts.get("architecture", {}).get("dense_layers", ())) == 1:
            parts["architecture"].pop("activation", None)
        config_hash = _hash(row.config["family"], **parts)
        if (row.sweep_id, config_hash) not in taken:
            taken.add((row.sweep_id, config_hash))
            connection.execute(update, {"trial_id": row.trial_id, "hash": config_hash})


def _hash(kind: str, **records: Mapping[str, Any]) -> str:
    chosen = {
        name: {
            # Postgres gives a number that was written with an exponent back as an integer.
            key: float(value) if isinstance(_DEFAULTS[name].get(key), float) else value
            for key, value in record.items()
            if value != _DEFAULTS[name].get(key, _REQUIRED)
        }
        for name, record in records.items()
    }
    words = json.dumps({"schema": _SCHEMA, "kind": kind, **chosen}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(words.encode()).hexdigest()[:16]


_REQUIRED = object()
