-- sweeps: how far is every sweep, and which trial leads it?
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
        -- A blend took what its parts took, which are counted.
        sum(trials.train_seconds) filter (where trials.family <> 'blend') as train_seconds,
        min(trials.started_at) as started_at,
        max(trials.finished_at) as finished_at
    from trials
    where trials.refit_of is null
    group by trials.sweep_id
)

select
    sweeps.sweep_id,
    sweeps.name,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    sweeps.is_refresh,
    sweeps.created_at,
    sweeps.ended_at,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    coalesce(counted.n_trials, 0) as n_trials,
    coalesce(counted.n_queued, 0) as n_queued,
    coalesce(counted.n_running, 0) as n_running,
    coalesce(counted.n_succeeded, 0) as n_succeeded,
    coalesce(counted.n_failed, 0) as n_failed,
    coalesce(counted.n_cancelled, 0) as n_cancelled,
    coalesce(counted.n_stopped, 0) as n_stopped,
    coalesce(counted.train_seconds, 0) as train_seconds,
    counted.started_at,
    counted.finished_at,
    leader.trial_id as leader_trial_id,
    leader.label as leader_label,
    leader.validation_value as leader_value
from sweeps
join datasets using (dataset_id)
left join counted using (sweep_id)
left join lateral (
    select ranked_trials.trial_id, trials.label, ranked_trials.validation_value
    from ranked_trials
    join trials using (trial_id)
    where ranked_trials.sweep_id = sweeps.sweep_id
    order by ranked_trials.place
    limit 1
) as leader on true
order by sweeps.sweep_id desc
limit 200;

-- open_trials: who works on what, and how far is every trial of a sweep that has open ones?
select
    trials.sweep_id,
    trials.trial_id,
    trials.label,
    trials.status,
    trials.worker,
    trials.attempt,
    trials.config,
    trials.config_hash,
    trials.started_at,
    trials.finished_at,
    trials.lease_expires_at < now() as is_lost,
    latest.epoch,
    cast(trials.config -> 'training' ->> 'max_epochs' as integer) as n_epochs,
    trials.refit_of is not null as is_refit
from trials
left join lateral (
    select max(epochs.epoch) as epoch from epochs where epochs.trial_id = trials.trial_id
) as latest on trials.status = 'running'
where exists (
    select from trials as open_ones
    where open_ones.sweep_id = trials.sweep_id and open_ones.status in ('queued', 'running')
)
order by trials.sweep_id desc, trials.started_at, trials.trial_id;

-- served: which trial is served for each data set, since when, and how good is it?
select
    serving_trials.dataset_name,
    serving_trials.sweep_id,
    sweeps.name as sweep_name,
    serving_trials.trial_id,
    serving_trials.label,
    serving_trials.is_promoted,
    serving_trials.is_refit,
    serving_trials.chosen_trial_id,
    serving_trials.chosen_label,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    ranked_trials.validation_value,
    promoted.promoted_at,
    promoted.note
from serving_trials
join sweeps using (sweep_id)
left join ranked_trials on ranked_trials.trial_id = serving_trials.chosen_trial_id
left join lateral (
    select promotions.promoted_at, promotions.note
    from promotions
    join datasets using (dataset_id)
    where datasets.name = serving_trials.dataset_name and serving_trials.is_promoted
    order by promotions.promotion_id desc
    limit 1
) as promoted on true
order by serving_trials.dataset_name;
