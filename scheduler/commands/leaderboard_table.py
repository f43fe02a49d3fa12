"""The leaderboard as a table that fits the screen: whole columns are left out, never half a number."""

from collections.abc import Mapping, Sequence

from rich.console import RenderableType

from scheduler.verdicts.words import against_leader
from shared.console import PlainConsole, describe_data, fit_columns, new_table
from shared.domain.verdicts import Verdict
from shared.store import LeaderboardRow, Sweep

_SHORTEST_LABEL = 20


def leaderboard_table(
    sweep: Sweep,
    rows: Sequence[LeaderboardRow],
    verdicts: Sequence[Verdict],
    more: Mapping[str, Mapping[int, float]],
    console: PlainConsole,
) -> tuple[RenderableType, list[str]]:
    """The table for this screen, and the headers of the columns that it had no room for.

    `more`: by the name of a metric that was asked for, the value of each trial. A long label takes several
    lines, so that the numbers stay; where there is no screen there is room.
    """
    k, objective = sweep.protocol.k, sweep.protocol.objective
    data = describe_data(sweep.dataset_name, is_synthetic=sweep.is_synthetic)
    table = new_table(f"Sweep {sweep.sweep_id} {sweep.name} on {data}, by {objective}", "")
    label_width = max(_SHORTEST_LABEL, console.width * 2 // 5) if console.is_terminal else None
    table.add_column("trial", overflow="fold", max_width=label_width)
    has_seeds = any((row.n_seeds or 1) > 1 for row in rows)
    has_test = any(row.test_value is not None for row in rows)
    # Nobody predicts ratings where there are none.
    has_rmse = any(row.rmse is not None for row in rows) or not sweep.protocol.ranks
    columns = ["mean", "sd", "seeds"] if has_seeds else []
    columns += ["RMSE"] if has_rmse else []
    columns += [f"ndcg@{k}", f"recall@{k}", "coverage", *([f"test {objective}"] if has_test else [])]
    for name in (*columns, *more, "weights", "epoch", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    if verdicts:
        table.add_column("against the leader", no_wrap=True)
    by_trial = {verdict.trial_id: verdict for verdict in verdicts}
    for row in rows:
        table.add_row(
            str(row.rank),
            row.label if row.status != "stopped" else f"{row.label} (stopped)",
            *(_over_seeds(row) if has_seeds else ()),
            *([_number(row.rmse)] if has_rmse else []),
            _number(row.stopped_value if row.objective == f"ndcg@{k}" and row.ndcg is None else row.ndcg),
            _number(row.recall),
            _number(row.coverage),
            *([_number(row.test_value)] if has_test else []),
            *(_number(values.get(row.trial_id)) for values in more.values()),
            "" if row.n_parameters is None else f"{row.n_parameters:,}",
            str(row.best_epoch or row.stopped_epoch or ""),
            "" if row.train_seconds is None else f"{row.train_seconds:.1f}",
            *([against_leader(by_trial.get(row.trial_id))] if verdicts else []),
            style="dim" if row.is_baseline else None,
        )
    least = ["weights", "epoch", "coverage", f"recall@{k}", "seconds", "against the leader"]
    least += [f"test {objective}", *more, "RMSE", f"ndcg@{k}"]
    shown = "RMSE" if objective == "rmse" else objective
    return table, fit_columns(table, [name for name in least if name != shown], console.width)


def _over_seeds(row: LeaderboardRow) -> tuple[str, str, str]:
    """Mean and standard deviation of the objective over the random seeds of the configuration."""
    return _number(row.mean_value), _number(row.spread), "" if row.n_seeds is None else str(row.n_seeds)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
