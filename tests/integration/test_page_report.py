"""A report of a sweep over a real database: whole, small, and only what was asked for."""

import json
import re

import pytest
from sqlalchemy import Engine

from scheduler.page.report import report_of
from shared.errors import SpecError
from shared.store.page.report import plan_report
from tests.page_samples import sample_dataset, store_ended_sweep, store_running_sweep


def _report(engine: Engine, n_trials: int = 10) -> str:
    sweep = store_ended_sweep(engine, sample_dataset(), n_trials)
    return report_of(engine, plan_report(engine, sweep.sweep_id, sweep.dataset_name))


def test_a_report_asks_nobody_for_anything(engine: Engine) -> None:
    text = _report(engine)
    assert not re.search(r'(src|href)="(?!#|data:,)', text)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert "connect-src" not in policy[1]
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src &#39;none&#39;")


def test_every_id_is_there_once_and_every_link_leads_to_one(engine: Engine) -> None:
    text = re.sub(r"<script>.*?</script>", "", _report(engine), flags=re.DOTALL)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    assert set(re.findall(r'aria-labelledby="([^"]*)"', text)) <= set(ids)


def test_200_trials_make_less_than_3_megabytes(engine: Engine) -> None:
    text = _report(engine, n_trials=200)
    assert len(text.encode()) < 3_000_000
    payloads = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert all(json.loads(payload)["rows"] for payload in payloads)


def test_a_running_sweep_has_a_report_too(engine: Engine) -> None:
    sweep = store_running_sweep(engine, sample_dataset())
    text = report_of(engine, plan_report(engine, sweep.sweep_id, sweep.dataset_name))
    assert "So far dot_4_8_1_epochs12_seed0 leads" in text


def test_users_are_drawn_from_the_most_active_to_the_least(engine: Engine) -> None:
    # User u of 60 has u training ratings: ten of them evenly, 60 and 1 among them.
    sweep = store_ended_sweep(engine, sample_dataset())
    plan = plan_report(engine, sweep.sweep_id, sweep.dataset_name)
    assert plan.user_ids == ("60", "53", "47", "40", "34", "27", "21", "14", "8", "1")


def test_users_are_those_who_were_named(engine: Engine) -> None:
    sweep = store_ended_sweep(engine, sample_dataset())
    assert plan_report(engine, 1, sweep.dataset_name, ["7", "3", "7"]).user_ids == ("7", "3")
    with pytest.raises(SpecError, match="got '999'"):
        plan_report(engine, 1, sweep.dataset_name, ["7", "999"])
