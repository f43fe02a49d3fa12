-- Which trial of a sweep leads, which tie with it, which are worse, and by how much?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(verdicts.sweep_id)) as sweep_id
    from verdicts
    join sweeps using (sweep_id)
    where not sweeps.is_refresh
)

select
    trial_verdicts.place,
    trial_verdicts.label,
    trial_verdicts.verdict,
    trial_verdicts.objective,
    trial_verdicts.split,
    round(trial_verdicts.difference::numeric, 5) as difference,
    round(trial_verdicts.lower::numeric, 5) as lower,
    round(trial_verdicts.upper::numeric, 5) as upper,
    round(trial_verdicts.p_value::numeric, 4) as p_value,
    trial_verdicts.n_users,
    trial_verdicts.reason
from trial_verdicts
join chosen using (sweep_id)
order by trial_verdicts.place;
