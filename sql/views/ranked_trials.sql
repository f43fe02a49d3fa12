-- The succeeded trials of every sweep in the order of its objective, with its value on validation and on test.
-- A refit has no validation: it never ranks.
create view ranked_trials as
with objectives as (
    -- Sweeps of version 0.1 name none.
    select sweeps.sweep_id, coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective
    from sweeps
),

measured as (
    select
        trials.sweep_id,
        trials.trial_id,
        trials.label,
        objectives.objective,
        -- The RMSE of the training engine is what towers have always been ranked by.
        case when objectives.objective = 'rmse' then trials.val_rmse else on_validation.value end as validation_value,
        on_test.value as test_value,
        case when objectives.objective in ('rmse', 'mae') then 1 else -1 end as direction
    from trials
    join objectives using (sweep_id)
    left join metrics as on_validation
        on on_validation.trial_id = trials.trial_id and on_validation.split = 'validation'
        and on_validation.name = objectives.objective
    left join metrics as on_test
        on on_test.trial_id = trials.trial_id and on_test.split = 'test' and on_test.name = objectives.objective
    where trials.status = 'succeeded' and trials.refit_of is null
)

select
    sweep_id,
    trial_id,
    objective,
    validation_value,
    test_value,
    row_number() over (
        partition by sweep_id order by direction * validation_value nulls last, label
    ) as place
from measured;

comment on view ranked_trials is
'The succeeded trials of every sweep in the order of the sweep''s objective on validation, best first; those that the objective does not judge are last.';
comment on column ranked_trials.place is 'from 1 within the sweep';
