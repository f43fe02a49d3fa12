"""The parts of blends: which trials they are, and their weights."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

from shared.domain.records import ClaimedPart
from shared.store.database import transaction

# The configuration of a blend names its parts by the hashes by which they are stored.
_ADD = text("""
    insert into blend_parts (trial_id, number, part_trial_id)
    select blends.trial_id, named.number, parts.trial_id
    from trials as blends
    cross join
        jsonb_array_elements(blends.config -> 'architecture' -> 'parts')
        with ordinality as named (one, number)
    join trials as parts
        on parts.sweep_id = blends.sweep_id and parts.config_hash = named.one ->> 'config_hash'
        and parts.refit_of is null
    where blends.sweep_id = :sweep_id and blends.family = 'blend' and blends.refit_of is null
    on conflict (trial_id, number) do nothing
""")
_ADD_REFITTED = text("""
    insert into blend_parts (trial_id, number, part_trial_id, weight)
    select :refit_id, blend_parts.number, refits.trial_id, blend_parts.weight
    from blend_parts
    join trials as refits on refits.refit_of = blend_parts.part_trial_id
    where blend_parts.trial_id = :chosen_id
    on conflict (trial_id, number) do nothing
""")
_ADD_REHEARSED = text("""
    insert into blend_parts (trial_id, number, part_trial_id, weight)
    select blends.trial_id, blend_parts.number, parts.trial_id, blend_parts.weight
    from blend_parts
    join trials as blends on blends.trial_id = :rehearsal_id
    join trials as parts
        on parts.refreshed_from = blend_parts.part_trial_id and parts.sweep_id = blends.sweep_id
    where blend_parts.trial_id = :served_id
    on conflict (trial_id, number) do nothing
""")
_WEIGH = text("""
    update blend_parts set weight = :weight where trial_id = :trial_id and number = :number
""")
_PARTS = text("""
    select
        parts.trial_id, parts.label, parts.status, parts.model_url, parts.n_parameters, parts.train_seconds,
        blend_parts.weight
    from blend_parts
    join trials as parts on parts.trial_id = blend_parts.part_trial_id
    where blend_parts.trial_id = :trial_id
    order by blend_parts.number
""")


def add_parts(connection: Connection, sweep_id: int) -> None:
    """Note the parts of the blends of a sweep that have none yet."""
    connection.execute(_ADD, {"sweep_id": sweep_id})


def add_refitted_parts(connection: Connection, chosen_id: int, refit_id: int) -> None:
    """Note the refits of the parts of the chosen blend, with its weights, as those of its refit."""
    connection.execute(_ADD_REFITTED, {"chosen_id": chosen_id, "refit_id": refit_id})


def add_rehearsed_parts(connection: Connection, served_id: int, rehearsal_id: int) -> None:
    """Note the rehearsals of the parts of the served blend, with its weights, as those of its rehearsal."""
    connection.execute(_ADD_REHEARSED, {"served_id": served_id, "rehearsal_id": rehearsal_id})


def store_weights(connection: Connection, trial_id: int, weights: Sequence[float]) -> None:
    """Those of the parts of a blend, in their order; none for any other trial."""
    for number, weight in enumerate(weights, start=1):
        connection.execute(_WEIGH, {"trial_id": trial_id, "number": number, "weight": weight})


def read_parts(connection: Connection, trial_id: int) -> tuple[ClaimedPart, ...]:
    """The parts of a trial as they are now, in the caller's transaction; none unless it is a blend."""
    rows = connection.execute(_PARTS, {"trial_id": trial_id})
    return tuple(ClaimedPart(**row._asdict()) for row in rows)


def parts_of(engine: Engine, trial_id: int) -> tuple[ClaimedPart, ...]:
    """The same."""
    with transaction(engine) as connection:
        return read_parts(connection, trial_id)
