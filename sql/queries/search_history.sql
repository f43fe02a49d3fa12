-- What did the search of a sweep propose, in order, what came of it, and what was the best so far?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(proposals.sweep_id)) as sweep_id
    from proposals
),

proposed as (
    select
        proposals.number,
        proposals.branch,
        proposals.parameters,
        trials.label,
        trials.status,
        -- The trial was there before: the proposal took its result.
        row_number() over (partition by proposals.trial_id order by proposals.number) > 1
        or trials.queued_at < proposals.proposed_at as is_repeat,
        coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
        case
            when trials.status = 'stopped' then trials.stopped_value
            else ranked_trials.validation_value
        end as value,
        ranked_trials.validation_value,
        case when coalesce(sweeps.protocol ->> 'objective', 'rmse') in ('rmse', 'mae') then 1 else -1 end as direction
    from proposals
    join chosen using (sweep_id)
    join sweeps using (sweep_id)
    join trials on trials.trial_id = proposals.trial_id
    left join ranked_trials on ranked_trials.trial_id = proposals.trial_id
)

select
    proposed.number,
    proposed.branch,
    proposed.label,
    proposed.status,
    proposed.is_repeat,
    proposed.objective,
    round(proposed.value::numeric, 4) as value,
    round(
        (
            proposed.direction * min(proposed.direction * proposed.validation_value)
                over (order by proposed.number rows between unbounded preceding and current row)
        )::numeric, 4
    ) as best_so_far,
    proposed.parameters
from proposed
order by proposed.number;
