-- Which trial is served for each data set: the promoted one, else the leader of the newest sweep that has ended.
create view serving_trials as
with in_force as (
    select distinct on (datasets.name) datasets.name as dataset_name, promotions.trial_id
    from promotions
    join datasets using (dataset_id)
    order by datasets.name, promotions.promotion_id desc
),

-- A sweep of which nothing but baselines succeeded has nothing to offer; a refresh is served by its promotion alone.
newest as (
    select datasets.name as dataset_name, max(sweeps.sweep_id) as sweep_id
    from sweeps
    join datasets using (dataset_id)
    where sweeps.ended_at is not null and not sweeps.is_refresh
        and exists (
            select from trials
            where trials.sweep_id = sweeps.sweep_id and trials.status = 'succeeded'
                and not trials.is_baseline and trials.refit_of is null
        )
    group by datasets.name
),

-- Sweep by sweep, so that no others are ranked for it. Only where further repeats made another configuration lead may the
-- leader have lost its lists before.
leaders as (
    select newest.dataset_name, leader.trial_id
    from newest
    cross join lateral (
        select ranked_trials.trial_id
        from ranked_trials
        where ranked_trials.sweep_id = newest.sweep_id and ranked_trials.has_lists
        order by ranked_trials.place
        limit 1
    ) as leader
),

-- One row a name, whatever versions of the ratings were stored under it.
serving as (
    select dataset_name, coalesce(in_force.trial_id, leaders.trial_id) as trial_id, in_force.trial_id is not null as is_promoted
    from in_force
    full join leaders using (dataset_name)
)

select
    datasets.dataset_id,
    serving.dataset_name,
    trials.sweep_id,
    trials.trial_id,
    trials.label,
    serving.is_promoted,
    (chosen.val_rmse is not null and trials.family <> 'item_popularity') as scores_are_ratings,
    datasets.rating_min,
    datasets.rating_max,
    trials.refit_of is not null as is_refit,
    chosen.trial_id as chosen_trial_id,
    chosen.label as chosen_label,
    datasets.fingerprint
from serving
join trials using (trial_id)
join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.trial_id)
join sweeps on sweeps.sweep_id = trials.sweep_id
join datasets using (dataset_id);

comment on view serving_trials is
'The trial that best_recommendations serves for each name of a data set: the promoted one, else the leader by its objective of the newest sweep that has ended.';
comment on column serving_trials.dataset_id is 'the version of the ratings that the trial was trained on';
comment on column serving_trials.fingerprint is 'that of the version of the ratings: 32 hex digits';
comment on column serving_trials.is_refit is 'whether the trial learned from all ratings of its version';
comment on column serving_trials.chosen_trial_id is 'the trial that was chosen by its metrics: of a refit another one, else the trial itself';
comment on column serving_trials.chosen_label is 'label of the chosen trial';
