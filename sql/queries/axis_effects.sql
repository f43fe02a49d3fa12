-- How does each axis of a sweep (merge, embedding size, learning rate, …) move its objective on validation?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

measured as (
    select
        trials.trial_id,
        trials.family,
        trials.config,
        ranked_trials.objective,
        ranked_trials.validation_value as value,
        case when ranked_trials.objective in ('rmse', 'mae') then 1 else -1 end as direction
    from trials
    join chosen using (sweep_id)
    join ranked_trials using (trial_id)
    where not trials.is_baseline and ranked_trials.validation_value is not null
),

settings as (
    select
        measured.family,
        measured.objective,
        measured.direction,
        measured.value,
        axes.key as axis,
        axes.value #>> '{}' as setting,
        case when jsonb_typeof(axes.value) = 'number' then cast(axes.value #>> '{}' as double precision) end as number
    from measured
    cross join
        jsonb_each(
            (measured.config -> 'architecture') || coalesce(nullif(measured.config -> 'training', 'null'), '{}')
        ) as axes
),

-- Of many numbers, as a search in a range tries them, four groups of as many trials.
placed as (
    select
        settings.*,
        ntile(4) over (partition by settings.family, settings.axis order by settings.number) as quarter,
        dense_rank() over (partition by settings.family, settings.axis order by settings.setting)
        + dense_rank() over (partition by settings.family, settings.axis order by settings.setting desc) - 1 as n_settings
    from settings
),

grouped as (
    select
        placed.*,
        case when placed.number is not null and placed.n_settings > 8 then 'q' || placed.quarter else placed.setting end
            as place
    from placed
),

effects as (
    select
        grouped.family,
        grouped.axis,
        case
            when count(distinct grouped.setting) = 1 then max(grouped.setting)
            else concat(min(grouped.number), ' to ', max(grouped.number))
        end as setting,
        grouped.objective,
        grouped.direction,
        count(*) as n_trials,
        avg(grouped.value) as mean_value,
        min(grouped.direction * grouped.value) * grouped.direction as best_value
    from grouped
    group by grouped.family, grouped.axis, grouped.place, grouped.objective, grouped.direction
),

varied as (
    select
        effects.family,
        effects.axis,
        max(effects.mean_value) - min(effects.mean_value) as spread
    from effects
    group by effects.family, effects.axis
    having count(*) > 1
),

means as (
    select measured.family, avg(measured.value) as mean_value
    from measured
    group by measured.family
)

select
    effects.family,
    effects.axis,
    effects.setting,
    effects.n_trials,
    effects.objective,
    round(effects.mean_value::numeric, 4) as mean_value,
    round(effects.best_value::numeric, 4) as best_value,
    round((effects.mean_value - means.mean_value)::numeric, 4) as against_mean
from effects
join varied using (family, axis)
join means using (family)
order by varied.spread desc, effects.family, effects.axis, effects.direction * effects.mean_value, effects.setting;
