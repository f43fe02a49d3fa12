-- Which attempts were made, by whom, for how long, and how did they end?
-- parameters: sweep_id=, label=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(sweeps.sweep_id)) as sweep_id
    from sweeps
    where not sweeps.is_refresh
),

computed as (
    select epochs.trial_id, epochs.attempt, min(epochs.epoch) as first_epoch, max(epochs.epoch) as last_epoch
    from epochs
    group by epochs.trial_id, epochs.attempt
)

select
    trials.label,
    attempts.attempt,
    attempts.worker,
    attempts.started_at,
    round(extract(epoch from coalesce(attempts.ended_at, now()) - attempts.started_at), 1) as seconds,
    coalesce(attempts.end_reason, 'running') as end_reason,
    computed.first_epoch,
    computed.last_epoch,
    attempts.error_message
from attempts
join trials using (trial_id)
join chosen using (sweep_id)
left join computed
    on computed.trial_id = attempts.trial_id and computed.attempt = attempts.attempt
where trials.label = coalesce(cast(:label as text), trials.label)
order by attempts.started_at, trials.label, attempts.attempt;
