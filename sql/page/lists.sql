-- trials: whose lists are shown: the trials that are named, else the served one and then the best of other families?
with serving as materialized (
    select serving_trials.trial_id, serving_trials.sweep_id from serving_trials
),

sweep as (
    select sweeps.sweep_id
    from sweeps
    where sweeps.sweep_id = coalesce(
        cast(:sweep_id as integer),
        (select max(serving.sweep_id) from serving),
        (
            select max(trials.sweep_id)
            from trials
            where trials.status = 'succeeded' and trials.refit_of is null and trials.lists_removed_at is null
        )
    )
),

served as (
    select serving.trial_id, trials.family
    from serving
    join sweep using (sweep_id)
    join trials using (trial_id)
),

ranked as (
    select
        trials.trial_id,
        trials.family,
        best.place,
        row_number() over (partition by trials.family order by best.place) as place_in_family
    from sweep
    cross join lateral (
        select ranked_trials.trial_id, ranked_trials.place
        from ranked_trials
        where ranked_trials.sweep_id = sweep.sweep_id
    ) as best
    join trials using (trial_id)
    where trials.lists_removed_at is null
),

chosen as (
    select served.trial_id, 0 as position
    from served
    where cast(:trials as integer[]) is null
    union all
    select ranked.trial_id, ranked.place
    from ranked
    where ranked.place_in_family = 1 and cast(:trials as integer[]) is null
        and not exists (select from served where served.family = ranked.family)
    union all
    select named.trial_id, named.position
    from unnest(cast(:trials as integer[])) with ordinality as named (trial_id, position)
)

select
    trials.trial_id,
    trials.sweep_id,
    sweeps.name as sweep_name,
    sweeps.protocol,
    datasets.dataset_id,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    datasets.fingerprint,
    datasets.n_ratings,
    coalesce(forgotten_counts.n_forgotten, 0) as n_forgotten,
    trials.label,
    trials.family,
    trials.is_baseline,
    trials.refit_of is not null as is_refit,
    trials.status = 'succeeded' and trials.lists_removed_at is null as has_lists,
    original.val_rmse is not null and trials.family <> 'item_popularity' as scores_are_ratings,
    trials.model_url,
    trials.log_url,
    ranked_trials.place,
    serving.trial_id is not null as is_served
from chosen
join trials using (trial_id)
join sweeps using (sweep_id)
join datasets using (dataset_id)
join trials as original on original.trial_id = coalesce(trials.refit_of, trials.trial_id)
left join forgotten_counts using (dataset_id)
left join serving on serving.trial_id = trials.trial_id
left join lateral (
    select places.place
    from ranked_trials as places
    where places.sweep_id = trials.sweep_id and places.trial_id = original.trial_id
) as ranked_trials on true
order by chosen.position, trials.trial_id
limit 4;
