"""A sweep that ends with a blend, which is verified, promoted and served, by the commands a person runs."""

from pathlib import Path

import pytest

from tests.acceptance.conftest import Make

_SWEEP = """
[[models]]
family = "ease"
l2 = [100, 300]
[[models]]
family = "item_knn"
[[blends]]
of_best = 2
weights = "validation"
[protocol]
objective = "ndcg@20"
"""


@pytest.fixture
def label(make: Make, select, tmp_path: Path) -> str:
    path = tmp_path / "blends.toml"
    path.write_text(_SWEEP)
    result = make("sweep", f"SWEEP={path}", "DATASET=sample", "WORKERS=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "6 of 6 trials succeeded" in result.stdout
    (blend,) = select("select label from trials where asked_by = 'blends' and refit_of is null")
    assert blend["label"] in result.stdout
    assert result.stdout.index("item_knn: succeeded") < result.stdout.index(f"{blend['label']}: succeeded")
    return str(blend["label"])


def test_a_blend_is_verified_promoted_and_answers_a_history(make: Make, select, label: str) -> None:
    verified = make("verify", "SWEEP=blends")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"{label}: as stored" in verified.stdout

    promoted = make("promote", f"TRIAL={label}", "SWEEP=blends")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    assert f"{label} is of 2 trials, which learn from all ratings first." in promoted.stdout
    assert f"{label}_refit: as stored" in promoted.stdout
    assert select("select distinct label from best_recommendations where dataset_name = 'sample'") == [
        {"label": f"{label}_refit"}
    ]
    assert make("query", "Q=lineage", "ARGS=dataset=sample").returncode == 0

    items = [row["item_id"] for row in select("select item_id from items order by n_ratings desc limit 2")]
    told = make("recommend", f"HISTORY={items[0]}:5,{items[1]}:4", "SWEEP=blends")
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"A history of 2 items, {label}_refit" in told.stdout
