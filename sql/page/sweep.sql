-- sweep: what was asked of this sweep, and what is served of its data set?
select
    sweeps.sweep_id,
    sweeps.name,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    datasets.n_users,
    datasets.n_items,
    datasets.n_ratings,
    sweeps.is_refresh,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    cast(sweeps.protocol ->> 'k' as integer) as k,
    coalesce(sweeps.protocol ->> 'split', 'random') as split,
    sweeps.created_at,
    sweeps.ended_at,
    sweeps.judged_at is not null as is_judged,
    sweeps.growing_since is not null as is_growing,
    (select count(*) from proposals where proposals.sweep_id = sweeps.sweep_id) as n_proposals,
    serving_trials.chosen_trial_id as served_trial_id,
    serving_trials.chosen_label as served_label,
    serving_trials.sweep_id as served_sweep_id
from sweeps
join datasets using (dataset_id)
left join serving_trials on serving_trials.dataset_name = datasets.name
where sweeps.sweep_id = cast(:sweep_id as integer);

-- trials: how good is each trial, how does it compare with the leader, and what does it cost?
select
    trials.trial_id,
    trials.label,
    trials.family,
    trials.config,
    trials.status,
    trials.is_baseline,
    trials.asked_by,
    trials.attempt,
    trials.random_seed,
    ranked_trials.place,
    ranked_trials.validation_value,
    ranked_trials.test_value,
    verdicts.verdict,
    verdicts.leader_trial_id,
    verdicts.difference,
    verdicts.lower,
    verdicts.upper,
    verdicts.p_value,
    verdicts.reason,
    verdicts.split as judged_by,
    verdicts.n_users as n_judging_users,
    verdicts.n_seeds,
    trials.n_parameters,
    trials.train_seconds,
    trials.peak_memory_bytes,
    trials.best_epoch,
    trials.error_reason,
    trials.error_message,
    trials.log_url,
    trials.started_at,
    trials.finished_at,
    trials.stopped_epoch,
    trials.stopped_value,
    trials.stopped_against,
    trials.status = 'succeeded' and trials.lists_removed_at is null as has_lists
from trials
left join ranked_trials
    on ranked_trials.sweep_id = cast(:sweep_id as integer) and ranked_trials.trial_id = trials.trial_id
left join verdicts on verdicts.trial_id = trials.trial_id
where trials.sweep_id = cast(:sweep_id as integer) and trials.refit_of is null
order by ranked_trials.place nulls last, trials.label;

-- metrics: what did each trial measure on validation and test?
select
    metrics.split,
    metrics.name,
    array_agg(metrics.trial_id order by metrics.trial_id) as trial_ids,
    array_agg(metrics.value order by metrics.trial_id) as values_of
from metrics
join trials using (trial_id)
where trials.sweep_id = cast(:sweep_id as integer) and trials.refit_of is null
    and metrics.split in ('validation', 'test')
group by metrics.split, metrics.name
order by metrics.split desc, metrics.name;

-- curves: how did the best, the running and the latest other trials learn, epoch by epoch?
with numbered as (
    select
        trials.trial_id,
        row_number() over (
            order by trials.status <> 'running', ranked_trials.place nulls last, trials.finished_at desc, trials.trial_id
        ) as by_place,
        row_number() over (
            partition by ranked_trials.place is null order by trials.finished_at desc, trials.trial_id
        ) as by_time
    from trials
    left join ranked_trials
        on ranked_trials.sweep_id = cast(:sweep_id as integer) and ranked_trials.trial_id = trials.trial_id
    where trials.sweep_id = cast(:sweep_id as integer) and trials.refit_of is null
),

chosen as (
    select numbered.trial_id from numbered where numbered.by_place <= 40 or numbered.by_time <= 20
)

select epochs.trial_id, epochs.epoch, epochs.objective, epochs.val_rmse, epochs.val_loss
from epochs
join chosen using (trial_id)
order by epochs.trial_id, epochs.epoch;
