"""Every stored query, as a person asks it: on MovieLens 1M where DATA_DIR holds it, else on the sample."""

import re

import pytest

from shared.store import list_queries
from tests.acceptance.conftest import LABELS

pytestmark = pytest.mark.usefixtures("two_sweeps")


@pytest.mark.parametrize("query", list_queries(), ids=lambda query: query.name)
def test_every_stored_query_answers(make, query):
    # Both data sets have a user of this id.
    chosen = {"user_id": "200", "label": LABELS[0]}
    arguments = " ".join(f"{key}={value}" for key, value in chosen.items() if key in query.parameters)
    result = make("query", f"Q={query.name}", f"ARGS={arguments}")
    assert result.returncode == 0, result.stderr
    n_rows = int(re.search(r"^(\d+) rows$", result.stdout, re.MULTILINE)[1])
    assert n_rows > 0 or query.name == "failures_by_reason"
