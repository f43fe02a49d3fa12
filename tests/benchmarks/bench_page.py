"""Every view of the page over 2,000 trials, two of them with 4 million rows of lists each.

The time is that of a whole answer of the application to a reader whose view nobody has asked for before.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, text

from scheduler.page.charts import load_grammar
from shared import store
from shared.domain.families.ease import Ease
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.trial import TrialConfig
from shared.store.database import transaction
from tests.benchmarks.bench_store import (
    LISTS,
    METRICS,
    N_EPOCHS,
    N_ITEMS,
    PREDICTIONS,
    PROTOCOL,
    SUCCEED,
    USER,
    USER_RESULTS,
    K,
    Size,
    make_dataset,
    open_bench,
    row,
)
from tests.benchmarks.report import print_heading, print_note, print_table
from tests.page_client import PageClient

# Items are drawn as people's lists are: a few stand in most of them.
_ITEM = "cast((users.number * 7919 + ranks.number * 104729 + :trial_id) % :n_items + 1 as text)"
_SKEWED = "cast(1 + floor(:n_items * power(random(), 4)) as integer)"
_N_BIG = 2
_N_SWEEPS = 10


@dataclass(frozen=True)
class Filled:
    """What is asked for: the sweep of the two large trials, and these."""

    sweep_id: int
    trial_ids: tuple[int, ...]
    dataset_id: int


def fill(engine: Engine, n_users: int, n_trials: int) -> Filled:
    """Ten sweeps of trials that have succeeded; in the last one, two keep their lists, one a family."""
    dataset_id = store.save_dataset(engine, make_dataset(n_users))
    for number in range(_N_SWEEPS):
        sweep = store.create_sweep(engine, f"s{number}", dataset_id, {}, PROTOCOL, "bench", None)
        store.add_trials(engine, sweep.sweep_id, _configs(n_trials // _N_SWEEPS))
        stored = store.sweep_trials(engine, sweep.sweep_id)
        firsts = {trial.config.family: trial.trial_id for trial in reversed(stored)}
        big = sorted(firsts.values())[:_N_BIG] if number == _N_SWEEPS - 1 else []
        for trial_id in big:
            _fill_trial(engine, sweep.sweep_id, trial_id, n_users)
        _succeed(engine, sweep.sweep_id, big)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("vacuum (analyze)"))
    return Filled(sweep.sweep_id, tuple(big), dataset_id)


def _fill_trial(engine: Engine, sweep_id: int, trial_id: int, n_users: int) -> None:
    key = {"sweep_id": sweep_id, "trial_id": trial_id, "n_users": n_users}
    lists = {**key, "k": K, "n_items": N_ITEMS}
    statement = LISTS.format(table=f"recommendations_sweep_{sweep_id}").replace(
        _ITEM, f"cast({_SKEWED} as text)"
    )
    with transaction(engine) as connection:
        connection.execute(text(USER_RESULTS.format(table=f"user_results_sweep_{sweep_id}")), key)
        connection.execute(text(statement), lists | {"step": 1})
        predictions = PREDICTIONS.format(table=f"rating_predictions_sweep_{sweep_id}")
        connection.execute(text(predictions), lists | {"step": 7})


def _succeed(engine: Engine, sweep_id: int, with_lists: list[int]) -> None:
    names = [name if name in {"rmse", "mae"} else f"{name}@{K}" for name in METRICS]
    given = {"sweep_id": sweep_id, "names": names, "n_epochs": N_EPOCHS}
    statement = SUCCEED.replace(
        "trial_id > all (:with_lists)", "trial_id <> all (cast(:with_lists as integer[]))"
    )
    with transaction(engine) as connection:
        for one in statement.split(";\n"):
            connection.execute(text(one), {**given, "with_lists": with_lists})


def _configs(n_trials: int) -> list[TrialConfig]:
    half = n_trials // 2
    return [
        *(TrialConfig(WeightedAls(l2=0.001 * (number + 1))) for number in range(half)),
        *(TrialConfig(Ease(l2=float(number + 1))) for number in range(n_trials - half)),
    ]


def answers(engine: Engine, filled: Filled) -> Iterator[tuple[object, ...]]:
    """A line a view."""
    # It is compared with the leader, the first.
    trial_id = filled.trial_ids[-1]
    addresses = {
        "all sweeps": "/",
        "a sweep": f"/sweeps/{filled.sweep_id}",
        "a trial": f"/trials/{trial_id}",
        "a user, two trials": f"/user?user_id={USER}&sweep_id={filled.sweep_id}",
        "a user who does not exist": f"/user?user_id=nobody&sweep_id={filled.sweep_id}",
        "an item in many lists, two trials": f"/item?item_id=1&sweep_id={filled.sweep_id}",
        "an item in few lists, two trials": f"/item?item_id={N_ITEMS}&sweep_id={filled.sweep_id}",
        "items by title": f"/item?q=title+of+an+item+77&sweep_id={filled.sweep_id}",
        "the data": f"/data?dataset_id={filled.dataset_id}",
    }
    for name, address in addresses.items():

        def ask(address: str = address) -> None:
            # Of an application of its own: nothing is kept from the answer before.
            answer = PageClient(engine).get(address)
            if answer.status_code != 200:
                raise RuntimeError(f"{address}: {answer.status_code} {answer.text[-300:]}")

        yield row(name, ask)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="to try the script: its figures mean little")
    options = parser.parse_args()
    n_users, n_trials = (2_000, 100) if options.quick else (options.users, options.trials)
    # A page that runs has loaded it before anybody looks.
    load_grammar()
    print_heading(f"The page over {n_trials:,} trials, lists of {n_users:,} users", "bench_page")
    # The size is that of what `open_bench` makes itself; this benchmark makes its own.
    with open_bench(Size(0, _N_SWEEPS)) as bench:
        filled = fill(bench.engine, n_users, n_trials)
        print_table(("view", "first, ms", "median, ms", "bar, ms"), answers(bench.engine, filled))
    print_note("The prepared ratings are not read here: there are none in the artifact store.")


if __name__ == "__main__":
    main()
