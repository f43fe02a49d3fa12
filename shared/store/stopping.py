"""Trials that are stopped because they cannot win: decided here alone, from the table `epochs`."""

from sqlalchemy import Connection, Engine, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.protocol import Protocol
from shared.domain.records import Claim, Trial
from shared.domain.stopping import Stop, Stopping
from shared.store.attempts import end_attempt
from shared.store.database import transaction

# Within a family of a sweep, since epochs of others are not comparable. A higher value is better here: `sign`
# turns it. Who ended before a rung is there with the best it had; who failed or was cancelled is no company.
# Nobody is stopped with epochs missing, as after an outage, nor while no trial that is not stopped itself has
# strictly more in any epoch. So whoever is stopped loses to one with more, who is stopped only for one with
# more still: two can never stop each other, however their statements overlap, and the best one always stays.
_VERDICT = """
    with company as (
        select
            trials.trial_id,
            trials.status,
            max(measured.value) filter (where epochs.epoch <= :rung) as by_rung,
            max(measured.value) as so_far,
            count(measured.value) filter (where epochs.epoch <= :rung) as n_epochs,
            max(epochs.epoch) as latest
        from trials as asked
        join trials using (sweep_id, family)
        join epochs on epochs.trial_id = trials.trial_id
        cross join lateral (
            select :sign * case when :by_rmse then epochs.val_rmse else epochs.objective end as value
        ) as measured
        where asked.trial_id = :trial_id and trials.refit_of is null and trials.asked_by <> 'repeats'
            and trials.status not in ('failed', 'cancelled')
        group by trials.trial_id, trials.status
    ),

    others as (
        select company.by_rung
        from company
        where company.trial_id <> :trial_id and company.by_rung is not null
            and (
                company.latest >= :rung or company.status = 'succeeded'
                or (:rule = 'median' and company.status = 'stopped')
            )
    ),

    needed as (
        select case
            when :rule = 'median' then (
                select percentile_cont(0.5) within group (order by others.by_rung) from others
            )
            -- Of n who came, this one with them, n / reduction go on, rounded up.
            else (
                select others.by_rung
                from others
                order by others.by_rung desc
                offset (select (count(*) + :reduction) / :reduction - 1 from others)
                limit 1
            )
        end as value
    ),

    verdict as (
        select :sign * own.by_rung as value, :sign * needed.value as against
        from company as own
        cross join needed
        where own.trial_id = :trial_id and own.n_epochs = :rung and own.by_rung < needed.value
            and exists (
                select from company
                where company.so_far > own.so_far and company.status in ('queued', 'running', 'succeeded')
            )
    )
"""
_JUDGE = text(_VERDICT + "select value, against from verdict")  # noqa: S608  All of it is ours.
# The rule may have been taken back since the attempt began.
_STOP = text(
    _VERDICT  # noqa: S608  All of it is ours.
    + """
    update trials
    set status = 'stopped', lease_expires_at = null, finished_at = now(), stopped_epoch = :rung,
        stopped_value = verdict.value, stopped_against = verdict.against, stopped_by = :stopping
    from verdict, sweeps
    where trials.trial_id = :trial_id and trials.attempt = :attempt and trials.status = 'running'
        and trials.cancel_requested_at is null
        and sweeps.sweep_id = trials.sweep_id and sweeps.spec -> 'stopping' ->> 'rule' = :rule
    returning trials.stopped_value, trials.stopped_against
"""
).bindparams(bindparam("stopping", type_=JSONB))
_EPOCHS_DONE = text("""
    select trial_id, max(epoch) as epoch from epochs where trial_id = any(:trial_ids) group by trial_id
""")


def stop_hopeless(engine: Engine, claim: Claim, epoch: int) -> Stop | None:
    """End the attempt as stopped where its trial cannot win after this epoch, which is recorded; else None.

    One statement decides and stops: a worker that is lost before has stopped nothing, one that is lost
    afterwards leaves a trial that is stopped. Nothing happens where the attempt was superseded or asked to
    stop by a person.
    """
    training = claim.config.training
    if claim.stopping is None or training is None:
        return None
    rung = claim.stopping.rung(epoch, training.max_epochs)
    if rung is None:
        return None
    parameters = _parameters(claim.trial_id, claim.protocol, claim.stopping, rung)
    with transaction(engine) as connection:
        row = connection.execute(
            _STOP, {**parameters, "attempt": claim.attempt, "stopping": claim.stopping.canonical}
        ).first()
        if row is None:
            return None
        stop = Stop(claim.protocol.objective, epoch, rung, row.stopped_value, row.stopped_against)
        end_attempt(connection, claim.trial_id, claim.attempt, "stopped", message=str(stop))
    return stop


def reprieved_trials(
    engine: Engine, trials: list[Trial], protocol: Protocol, stopping: Stopping
) -> frozenset[int]:
    """The ids of those of a sweep's trials that are stopped and that this rule lets go on.

    A trial that this very rule has stopped stays stopped, whoever came later; by another it is judged anew,
    from all that is known by now.
    """
    stopped = [
        trial for trial in trials if trial.status == "stopped" and trial.stopped_by != stopping.canonical
    ]
    if not stopped:
        return frozenset()
    with transaction(engine) as connection:
        done = connection.execute(_EPOCHS_DONE, {"trial_ids": [trial.trial_id for trial in stopped]})
        epochs = {row.trial_id: row.epoch for row in done}
        return frozenset(
            trial.trial_id
            for trial in stopped
            if _judge(connection, trial, protocol, stopping, epochs.get(trial.trial_id, 0)) is None
        )


def _judge(
    connection: Connection, trial: Trial, protocol: Protocol, stopping: Stopping, epoch: int
) -> Row[tuple[float, float]] | None:
    training = trial.config.training
    rung = stopping.rung(epoch, training.max_epochs) if training else None
    if rung is None:
        return None
    return connection.execute(_JUDGE, _parameters(trial.trial_id, protocol, stopping, rung)).first()


def _parameters(trial_id: int, protocol: Protocol, stopping: Stopping, rung: int) -> dict[str, object]:
    return {
        "trial_id": trial_id,
        "rung": rung,
        "rule": stopping.rule,
        "reduction": stopping.reduction,
        "sign": 1.0 if protocol.is_larger_better else -1.0,
        "by_rmse": protocol.objective == "rmse",
    }
