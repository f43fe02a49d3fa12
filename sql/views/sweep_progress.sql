-- How far every sweep is.
create view sweep_progress as
with counted as (
    select
        trials.sweep_id,
        count(*) as n_trials,
        count(*) filter (where trials.status = 'queued') as n_queued,
        count(*) filter (where trials.status = 'running') as n_running,
        count(*) filter (where trials.status = 'succeeded') as n_succeeded,
        count(*) filter (where trials.status = 'failed') as n_failed,
        count(*) filter (where trials.status = 'cancelled') as n_cancelled,
        count(*) filter (where trials.status = 'stopped') as n_stopped,
        count(*) filter (where trials.status = 'running' and trials.lease_expires_at < now()) as n_lost,
        count(*) filter (where trials.attempt > 1) as n_retried,
        -- A blend took what its parts took, which are counted.
        sum(trials.train_seconds) filter (where trials.family <> 'blend') as train_seconds,
        min(trials.val_rmse) filter (where not trials.is_baseline) as best_rmse,
        max(trials.finished_at) as last_finished_at,
        count(*) filter (where trials.status = 'succeeded' and trials.lists_removed_at is null) as n_with_lists
    from trials
    where trials.refit_of is null
    group by trials.sweep_id
)

select
    sweeps.sweep_id,
    sweeps.name,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    coalesce(counted.n_trials, 0) as n_trials,
    coalesce(counted.n_queued, 0) as n_queued,
    coalesce(counted.n_running, 0) as n_running,
    coalesce(counted.n_succeeded, 0) as n_succeeded,
    coalesce(counted.n_failed, 0) as n_failed,
    coalesce(counted.n_cancelled, 0) as n_cancelled,
    coalesce(counted.n_stopped, 0) as n_stopped,
    coalesce(counted.n_lost, 0) as n_lost,
    coalesce(counted.n_retried, 0) as n_retried,
    coalesce(counted.train_seconds, 0) as train_seconds,
    counted.best_rmse,
    sweeps.created_at,
    case when counted.n_queued + counted.n_running = 0 and sweeps.growing_since is null then counted.last_finished_at end as finished_at,
    coalesce(counted.n_with_lists, 0) as n_with_lists
from sweeps
join datasets using (dataset_id)
left join counted using (sweep_id)
where not sweeps.is_refresh;

comment on view sweep_progress is 'How many trials of each sweep are in which state; refits are not counted, and refreshes are left out.';
comment on column sweep_progress.n_stopped is 'trials that were ended early because they cannot win';
comment on column sweep_progress.n_lost is 'running trials whose lease has expired: their worker is gone';
comment on column sweep_progress.n_retried is 'trials that needed more than one attempt so far';
comment on column sweep_progress.best_rmse is 'smallest RMSE of an architecture so far';
comment on column sweep_progress.finished_at is 'when the last trial ended; null while any is open or may be added';
comment on column sweep_progress.n_with_lists is 'succeeded trials whose lists are kept';
