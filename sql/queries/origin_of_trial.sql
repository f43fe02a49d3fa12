-- Where do the rows of a trial come from: chosen trial, sweep file, configuration, data and their source, split, code and attempt?
-- parameters: label=, sweep_id=
select
    trials.trial_id,
    trials.label,
    trials.config,
    trials.random_seed,
    case when trials.refit_of is null then 'the training part' else 'all ratings' end as learned_from,
    chosen.trial_id as chosen_trial_id,
    chosen.label as chosen_label,
    chosen.refreshed_from,
    sweeps.sweep_id,
    sweeps.name as sweep_name,
    sweeps.spec,
    sweeps.protocol,
    datasets.name as dataset_name,
    datasets.dataset_id,
    datasets.fingerprint,
    datasets.is_synthetic,
    datasets.source,
    datasets.source_read_at,
    previous.fingerprint as previous_fingerprint,
    trials.attempt,
    attempts.worker,
    attempts.code_version,
    attempts.started_at,
    attempts.ended_at,
    trials.model_url,
    trials.log_url
from trials
join sweeps using (sweep_id)
join datasets using (dataset_id)
left join datasets as previous on previous.dataset_id = datasets.previous_id
join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.trial_id)
left join attempts on attempts.trial_id = trials.trial_id and attempts.attempt = trials.attempt
where trials.sweep_id = coalesce(cast(:sweep_id as integer), (select max(newest.sweep_id) from sweeps as newest where not newest.is_refresh))
    and trials.label = coalesce(cast(:label as text), trials.label)
order by trials.trial_id;
