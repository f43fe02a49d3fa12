-- How does each axis of a sweep (merge, embedding size, dense layers, …) move the RMSE?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

measured as (
    select trials.trial_id, trials.config, trials.val_rmse
    from trials
    join chosen using (sweep_id)
    where trials.status = 'succeeded' and not trials.is_baseline and trials.refit_of is null
),

settings as (
    select axes.key as axis, axes.value #>> '{}' as setting, measured.val_rmse
    from measured
    cross join jsonb_each((measured.config -> 'architecture') || (measured.config -> 'training')) as axes
),

effects as (
    select
        settings.axis,
        settings.setting,
        count(*) as n_trials,
        avg(settings.val_rmse) as mean_rmse,
        min(settings.val_rmse) as best_rmse
    from settings
    group by settings.axis, settings.setting
),

varied as (
    select effects.axis, max(effects.mean_rmse) - min(effects.mean_rmse) as spread
    from effects
    group by effects.axis
    having count(*) > 1
)

select
    effects.axis,
    effects.setting,
    effects.n_trials,
    round(effects.mean_rmse::numeric, 4) as mean_rmse,
    round(effects.best_rmse::numeric, 4) as best_rmse,
    round((effects.mean_rmse - (select avg(measured.val_rmse) from measured))::numeric, 4) as against_mean
from effects
join varied using (axis)
order by varied.spread desc, effects.axis, effects.mean_rmse, effects.setting;
