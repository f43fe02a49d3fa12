-- How much of the differences between the trials of a sweep does each axis explain, one axis at a time?
-- parameters: sweep_id=
-- One-way analysis of variance, of each family: the variance between the settings of an axis, as a share of the
-- variance between the trials. Many numbers are put into four groups. Shares of axes may overlap, and few
-- trials in many groups explain much by chance: n_trials and n_groups say how much a share is worth.
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

measured as (
    select trials.trial_id, trials.family, trials.config, ranked_trials.validation_value as value
    from trials
    join chosen using (sweep_id)
    join ranked_trials using (trial_id)
    where not trials.is_baseline and ranked_trials.validation_value is not null
),

settings as (
    select
        measured.family,
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

placed as (
    select
        settings.*,
        ntile(4) over (partition by settings.family, settings.axis order by settings.number) as quarter,
        dense_rank() over (partition by settings.family, settings.axis order by settings.setting)
        + dense_rank() over (partition by settings.family, settings.axis order by settings.setting desc) - 1 as n_settings
    from settings
),

groups as (
    select
        placed.family,
        placed.axis,
        case when placed.number is not null and placed.n_settings > 8 then 'q' || placed.quarter else placed.setting end
            as place,
        count(*) as n_trials,
        avg(placed.value) as mean_value,
        var_pop(placed.value) as variance
    from placed
    group by 1, 2, 3
),

explained as (
    select
        groups.family,
        groups.axis,
        count(*) as n_groups,
        sum(groups.n_trials) as n_trials,
        sum(groups.n_trials * groups.variance) / sum(groups.n_trials) as variance_within
    from groups
    group by groups.family, groups.axis
    having count(*) > 1
),

totals as (
    select measured.family, var_pop(measured.value) as variance
    from measured
    group by measured.family
)

select
    explained.family,
    explained.axis,
    round((1 - explained.variance_within / nullif(totals.variance, 0))::numeric, 3) as explained_share,
    explained.n_groups,
    explained.n_trials
from explained
join totals using (family)
order by explained.family, explained_share desc nulls last, explained.axis;
