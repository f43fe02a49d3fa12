"""The data: what `make data` says, as pictures, and from where each version of the ratings came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Engine

from scheduler.page.charts import Chart, finished
from scheduler.page.files.ratings import Described, described, place_of
from scheduler.page.view import View
from scheduler.page.words import plural
from shared.datasets.description import SHARES
from shared.domain.protocol import parse_protocol
from shared.store.page.data import DataRecords, GenreLine, PopularityStep, read_data

# The names of `SHARES`.
SHARE_NAMES = tuple({0.0: "least", 0.5: "median", 1.0: "most"}.get(share, f"{share:.0%}") for share in SHARES)


@dataclass(frozen=True)
class Shown:
    """What was read: from the database, and from the prepared ratings."""

    records: DataRecords
    described: Described


def build(shown: Shown) -> dict[str, Any]:
    """What `data.html` is given."""
    records, told = shown.records, shown.described
    version = records.shown
    return {
        "title": f"Data {version.name}" if version else "Data",
        "version": version,
        "versions": records.versions,
        "catalogue": records.catalogue,
        "facts": _facts(records, told),
        "charts": [one for one in _charts(records, told) if one],
        "quantiles": _quantiles(told),
        "share_names": SHARE_NAMES,
        "splits": told.splits,
        "fractions": _fractions(records),
        "problem": told.problem,
        "sql_address": VIEW.sql_address({"dataset_id": version.dataset_id if version else None}),
    }


def _facts(records: DataRecords, told: Described) -> list[str]:
    version, catalogue = records.shown, records.catalogue
    if version is None or catalogue is None:
        return []
    each = version.n_ratings / max(1, version.n_users)
    density = version.n_ratings / max(1, version.n_users * version.n_items)
    of_pairs = f"{density:.2%} of all pairs of a user and an item have one"
    facts = [
        f"{version.n_ratings:,} ratings from {version.rating_min:g} to {version.rating_max:g}; {of_pairs}.",
        f"{version.n_users:,} users, {each:.0f} ratings each on average.",
        f"{catalogue.n_items:,} items, {catalogue.n_items - catalogue.n_rated:,} of them without a rating, "
        f"{catalogue.n_untitled:,} without a title, "
        f"{catalogue.n_items - catalogue.n_with_genres:,} without genres.",
    ]
    if told.description is not None:
        one = told.description
        times = f"Rated from {one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}." if one.first and one.last else ""
        facts.append(times or "The source has no times.")
        facts.append(f"{'Traits' if one.has_user_traits else 'No traits'} of users are known.")
    if version.n_forgotten:
        facts.append(f"{plural(version.n_forgotten, 'user was', 'users were')} forgotten.")
    return facts


def _charts(records: DataRecords, told: Described) -> list[Chart | None]:
    made: list[Chart | None] = []
    if told.description is not None:
        made.append(_bars("Ratings", "rating", "ratings", list(told.description.histogram)))
    made.append(
        _bars(
            "Ratings of a user",
            "ratings of the user",
            "users",
            [(steps(step), n) for step, n in told.activity],
        )
    )
    made.append(_popularity(records.popularity))
    made.append(_bars("Ratings over time", "month", "ratings", list(told.by_month), is_time=True))
    made.append(_genres(records.genres))
    return made


def steps(step: int) -> str:
    """`0`, `1`, `2 to 3`, `4 to 7`: the powers of two from 2^(step - 1) on."""
    if step < 2:
        return str(step)
    return f"{2 ** (step - 1):,} to {2**step - 1:,}"


def _popularity(found: Sequence[PopularityStep]) -> Chart | None:
    return _bars(
        "Ratings of an item",
        "ratings of the item",
        "items",
        [(steps(one.step), one.n_items) for one in found],
    )


def _genres(genres: Sequence[GenreLine]) -> Chart | None:
    return _bars("Genres", "genre", "ratings", [(one.genre, one.n_ratings) for one in genres])


def _bars(
    title: str, x: str, y: str, rows: Sequence[tuple[str, int]], *, is_time: bool = False
) -> Chart | None:
    if not rows:
        return None
    top, n = max(rows, key=lambda one: one[1])
    return Chart(
        title=title,
        description=f"{y.capitalize()} by {x}: {plural(len(rows), 'bar')}, the highest {n:,} at {top}.",
        spec=_bars_spec(x, y, is_time),
        columns=("x", "n"),
        rows=[list(row) for row in rows],
    )


def _quantiles(told: Described) -> list[tuple[str, Sequence[int]]]:
    if told.description is None:
        return []
    return [("user", told.description.activity), ("rated item", told.description.popularity)]


def _fractions(records: DataRecords) -> str:
    if records.shown is None or records.shown.newest_protocol is None:
        return ""
    protocol = parse_protocol(dict(records.shown.newest_protocol))
    return f"{protocol.validation_fraction:g} and {protocol.test_fraction:g}"


@cache
def _bars_spec(x: str, y: str, is_time: bool) -> dict[str, Any]:
    import altair  # noqa: PLC0415  Slow to load, and the commands do not need it.

    kind = "x:T" if is_time else "x:N"
    axis = altair.Axis(grid=False) if is_time else altair.Axis(labelAngle=-40, labelLimit=120)
    bars = (
        altair.Chart(altair.NamedData("rows"))
        .mark_bar(color="--accent")
        .encode(
            x=altair.X(kind, title=x, sort=None, axis=axis),
            y=altair.Y("n:Q", title=y, axis=altair.Axis(format="~s")),
            tooltip=[altair.Tooltip("x:N", title=x), altair.Tooltip("n:Q", title=y, format=",")],
        )
    )
    return finished(bars.properties(width="container", height=260))


def _read(engine: Engine, parameters: Mapping[str, Any]) -> Shown:
    records = read_data(engine, parameters.get("dataset_id"), parameters.get("sweep_id"))
    version = records.shown
    if version is None:
        return Shown(records, Described())
    protocol = parse_protocol(dict(version.newest_protocol)) if version.newest_protocol else None
    place = place_of(version.log_url, version.fingerprint, version.n_forgotten)
    return Shown(records, described(place, protocol))


VIEW = View(
    name="data",
    path="/data",
    read=_read,
    build=build,
    # The data set of a sweep, where that is named.
    parameters={"dataset_id": "integer", "sweep_id": "integer"},
    of_report=lambda plan: ({"sweep_id": plan.sweep_id},),
)
