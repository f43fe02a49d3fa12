-- Where does what is served come from, refresh by refresh back to the sweep: refit, chosen trial, parts of a blend, ratings, source and code?
-- parameters: dataset=
with recursive steps as (
    select serving_trials.dataset_name, 0 as step, serving_trials.trial_id
    from serving_trials
    where serving_trials.dataset_name = coalesce(cast(:dataset as text), serving_trials.dataset_name)
    union all
    select steps.dataset_name, steps.step + 1, chosen.refreshed_from
    from steps
    join trials using (trial_id)
    join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.trial_id)
    where chosen.refreshed_from is not null
),

parts as (
    select
        blend_parts.trial_id,
        string_agg(trials.label || ' ' || coalesce(round(cast(blend_parts.weight as numeric), 3), 0), ', ' order by blend_parts.number)
            as parts
    from blend_parts
    join trials on trials.trial_id = blend_parts.part_trial_id
    group by blend_parts.trial_id
)

select
    steps.dataset_name,
    steps.step,
    sweeps.sweep_id,
    sweeps.name as sweep_name,
    trials.trial_id,
    trials.label,
    chosen.trial_id as chosen_trial_id,
    chosen.label as chosen_label,
    parts.parts,
    chosen.refreshed_from,
    datasets.source,
    datasets.source_read_at,
    datasets.fingerprint,
    datasets.n_ratings,
    attempts.code_version
from steps
join trials using (trial_id)
join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.trial_id)
join sweeps on sweeps.sweep_id = trials.sweep_id
join datasets using (dataset_id)
left join parts on parts.trial_id = steps.trial_id
left join attempts on attempts.trial_id = trials.trial_id and attempts.attempt = trials.attempt
order by steps.dataset_name, steps.step;
