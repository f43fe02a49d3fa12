"""Every stored query, as a person asks it: on MovieLens 1M where DATA_DIR holds it, else on the sample."""

import re

import pytest

from shared.store import list_queries
from tests.acceptance.conftest import LABELS, ask_all

QUERIES = list_queries()
# Both data sets have a user of this id.
CHOSEN = {"user_id": "200", "label": LABELS[0]}


@pytest.fixture(scope="module")
def answers(make, two_sweeps):
    arguments = [
        " ".join(f"{key}={value}" for key, value in CHOSEN.items() if key in query.parameters)
        for query in QUERIES
    ]
    commands = [
        ("query", f"Q={query.name}", f"ARGS={one}") for query, one in zip(QUERIES, arguments, strict=True)
    ]
    return dict(zip((query.name for query in QUERIES), ask_all(make, commands), strict=True))


@pytest.mark.parametrize("name", [query.name for query in QUERIES])
def test_every_stored_query_answers(answers, name):
    result = answers[name]
    assert result.returncode == 0, result.stderr
    n_rows = int(re.search(r"^(\d+) rows$", result.stdout, re.MULTILINE)[1])
    assert n_rows > 0 or name in ("failures_by_reason", "stopped_trials", "search_history")
