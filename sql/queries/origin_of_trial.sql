-- Where do the rows of a trial come from: sweep file, configuration, data, split, code and attempt?
-- parameters: label=, sweep_id=
select
    trials.trial_id,
    trials.label,
    trials.config,
    trials.random_seed,
    sweeps.sweep_id,
    sweeps.name as sweep_name,
    sweeps.spec,
    sweeps.protocol,
    datasets.name as dataset_name,
    datasets.fingerprint,
    datasets.is_synthetic,
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
left join attempts using (trial_id, attempt)
where trials.sweep_id = coalesce(cast(:sweep_id as integer), (select max(newest.sweep_id) from sweeps as newest))
    and trials.label = coalesce(cast(:label as text), trials.label)
order by trials.trial_id;
