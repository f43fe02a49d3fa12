-- The succeeded trials of every sweep in the order of its objective, with its value on validation and on test.
-- A refit has no validation: it never ranks.
-- Where a sweep repeats its best with further random seeds, configurations rank by their means, and the trials of one stand
-- together. A configuration that was not repeated has the luck of one seed in its value, which the means have not: on equal
-- terms, by the first seeds, each repeated one was better, so it stands behind them all.
create view ranked_trials as
with measured as not materialized (
    select
        trials.sweep_id,
        trials.trial_id,
        trials.label,
        trials.config,
        -- Sweeps of version 0.1 name none.
        coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
        -- The RMSE of the training engine is what towers have always been ranked by.
        case
            when coalesce(sweeps.protocol ->> 'objective', 'rmse') = 'rmse' then trials.val_rmse
            else on_validation.value
        end as validation_value,
        on_test.value as test_value,
        trials.lists_removed_at is null as has_lists,
        case when coalesce(sweeps.protocol ->> 'objective', 'rmse') in ('rmse', 'mae') then 1 else -1 end as direction,
        sweeps.sweep_id in (select sweep_id from trials where asked_by = 'repeats') as has_repeats
    from trials
    join sweeps using (sweep_id)
    left join metrics as on_validation
        on on_validation.trial_id = trials.trial_id and on_validation.split = 'validation'
        and on_validation.name = coalesce(sweeps.protocol ->> 'objective', 'rmse')
    left join metrics as on_test
        on on_test.trial_id = trials.trial_id and on_test.split = 'test'
        and on_test.name = coalesce(sweeps.protocol ->> 'objective', 'rmse')
    where trials.status = 'succeeded' and trials.refit_of is null
),

configured as (
    select
        sweep_id,
        trial_id,
        label,
        objective,
        validation_value,
        test_value,
        has_lists,
        direction,
        -- 64 bits: of 10,000 configurations any two share them with a chance of 3 in 10^12.
        jsonb_hash_extended(config #- '{training,random_seed}' #- '{architecture,random_seed}', 0) as configuration,
        coalesce(config -> 'training' ? 'random_seed', config -> 'architecture' ? 'random_seed', false) as is_random
    from measured
    where has_repeats
),

over_seeds as (
    select
        configured.*,
        count(validation_value) over seeds as n_seeds,
        avg(validation_value) over seeds as mean_value,
        stddev_samp(validation_value) over seeds as spread,
        min(label) over seeds as first_label
    from configured
    window seeds as (partition by sweep_id, configuration)
),

compared as (
    select
        over_seeds.*,
        direction * mean_value as worth,
        is_random and n_seeds < 2 as is_by_chance,
        max(direction * mean_value) filter (where n_seeds > 1) over (partition by sweep_id) as worst_repeated
    from over_seeds
)

select
    sweep_id,
    trial_id,
    objective,
    validation_value,
    test_value,
    row_number() over (
        partition by sweep_id order by direction * validation_value nulls last, label
    ) as place,
    validation_value as mean_value,
    cast(null as double precision) as spread,
    cast(1 as bigint) as n_seeds,
    has_lists
from measured
where not has_repeats
union all
select
    sweep_id,
    trial_id,
    objective,
    validation_value,
    test_value,
    row_number() over (
        partition by sweep_id
        order by
            case when is_by_chance and worth < worst_repeated then worst_repeated else worth end nulls last,
            is_by_chance,
            worth,
            first_label,
            direction * validation_value nulls last,
            label
    ) as place,
    mean_value,
    spread,
    n_seeds,
    has_lists
from compared;

comment on view ranked_trials is
'The succeeded trials of every sweep in the order of the sweep''s objective on validation, best first; those that the objective does not judge are last. Where a sweep has repeats, by the means of configurations, the trials of one together.';
comment on column ranked_trials.place is 'from 1 within the sweep';
comment on column ranked_trials.mean_value is 'where the sweep has repeats: the mean on validation over the random seeds of the configuration; else the value of the trial';
comment on column ranked_trials.spread is 'standard deviation of the value over the random seeds; null for one';
comment on column ranked_trials.n_seeds is 'where the sweep has repeats: how many trials differ by the random seed alone, this one among them, and are judged by the objective; else 1';
comment on column ranked_trials.has_lists is 'false where its lists were removed, because those of better trials are kept';
