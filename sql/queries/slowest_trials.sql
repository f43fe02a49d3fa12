-- Which trials took longest to train?
-- parameters: sweep_id=, limit=10
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(sweeps.sweep_id)) as sweep_id
    from sweeps
    where not sweeps.is_refresh
),

history as (
    select epochs.trial_id, count(*) as n_epochs, avg(epochs.seconds) as seconds_per_epoch
    from epochs
    group by epochs.trial_id
)

select
    trials.label,
    trials.status,
    round(trials.train_seconds::numeric, 2) as train_seconds,
    history.n_epochs,
    round(history.seconds_per_epoch::numeric, 3) as seconds_per_epoch,
    trials.n_parameters,
    round(trials.peak_memory_bytes / 1e6) as peak_memory_mb,
    trials.attempt,
    trials.worker
from trials
join chosen using (sweep_id)
left join history using (trial_id)
order by trials.train_seconds desc nulls last, trials.label
limit cast(:limit as integer);
