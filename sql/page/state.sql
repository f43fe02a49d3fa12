-- state: has anything changed that a view shows?
with counted as (
    select
        count(*) as n_trials,
        count(*) filter (where status = 'queued') as n_queued,
        count(*) filter (where status = 'running') as n_running,
        sum(attempt) as n_attempts,
        max(started_at) as last_started_at,
        max(finished_at) as last_finished_at,
        max(lists_removed_at) as last_removed_at
    from trials
),

latest_epochs as (
    select sum(latest.epoch) as n_epochs
    from trials
    cross join lateral (
        select max(epochs.epoch) as epoch from epochs where epochs.trial_id = trials.trial_id
    ) as latest
    where trials.status = 'running'
)

select
    counted.*,
    latest_epochs.n_epochs,
    (select count(*) from sweeps) as n_sweeps,
    (select max(sweep_id) from sweeps) as newest_sweep_id,
    (select max(judged_at) from sweeps) as last_judged_at,
    (select count(*) from sweeps where judged_at is null) as n_unjudged,
    (select max(ended_at) from sweeps) as last_ended_at,
    (select max(promotion_id) from promotions) as newest_promotion_id,
    (select max(dataset_id) from datasets) as newest_dataset_id
from counted
cross join latest_epochs;
