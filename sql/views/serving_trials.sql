-- Which trial is served for each data set: the promoted one, else the best of the latest sweep.
create view serving_trials as
with in_force as (
    select distinct on (promotions.dataset_id) promotions.dataset_id, promotions.trial_id
    from promotions
    order by promotions.dataset_id, promotions.promotion_id desc
),

latest as (
    select sweeps.dataset_id, max(sweeps.sweep_id) as sweep_id
    from sweeps
    where exists (
        select from trials where trials.sweep_id = sweeps.sweep_id and trials.status = 'succeeded'
    )
    group by sweeps.dataset_id
),

-- A baseline is served only where no architecture has succeeded yet.
best as (
    select distinct on (latest.dataset_id) latest.dataset_id, trials.trial_id
    from latest
    join trials on trials.sweep_id = latest.sweep_id and trials.status = 'succeeded'
    order by latest.dataset_id, trials.is_baseline, trials.val_rmse, trials.label
)

select
    datasets.dataset_id,
    datasets.name as dataset_name,
    trials.sweep_id,
    trials.trial_id,
    trials.label,
    in_force.trial_id is not null as is_promoted,
    trials.config ->> 'baseline' is distinct from 'item_popularity' as scores_are_ratings,
    datasets.rating_min,
    datasets.rating_max
from datasets
left join in_force using (dataset_id)
left join best using (dataset_id)
join trials on trials.trial_id = coalesce(in_force.trial_id, best.trial_id);

comment on view serving_trials is
'The trial that best_recommendations serves for each data set: the promoted one, else the architecture with the smallest RMSE in the latest sweep that has a result.';
