"""Which configurations are one and the same: a hash of what a person chose.

A field that has its default does not count. So a field that is added with a default changes no hash: nothing
is run again, and nothing collides with what is stored. The price is a rule: a default is never changed once
it was released, unless `SCHEMA` is raised with it, which makes every configuration a new one.
"""

import hashlib
import json
from dataclasses import MISSING, fields
from typing import Any

from pydantic import TypeAdapter

SCHEMA = 1


def identity_hash(kind: str, **records: object) -> str:
    """16 hex digits of the kind, the schema number and the non-default fields of each record.

    `kind` is the family of a trial, or says what else is identified. A record that is None does not count.
    """
    chosen = {name: non_default_fields(record) for name, record in records.items() if record is not None}
    return canonical_hash({"schema": SCHEMA, "kind": kind, **chosen})


def non_default_fields(record: object) -> dict[str, Any]:
    """JSON form of the fields of a dataclass that differ from their default; required fields always."""
    values = TypeAdapter(type(record)).dump_python(record, mode="json")
    names = [
        field.name
        for field in fields(record)  # type: ignore[arg-type]  # Any dataclass.
        if field.default is MISSING or getattr(record, field.name) != field.default
    ]
    return {name: values[name] for name in names}


def canonical_hash(value: object) -> str:
    """First 16 hex digits of the SHA-256 of the JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
