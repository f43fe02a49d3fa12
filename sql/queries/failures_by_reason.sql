-- Why do trials fail, how often, and what does the newest message say?
-- parameters: sweep_id=
select
    trials.error_reason,
    count(*) as n_trials,
    max(trials.finished_at) as last_failed_at,
    string_agg(trials.label, ', ' order by trials.label) as labels,
    (array_agg(trials.error_message order by trials.finished_at desc, trials.trial_id))[1] as newest_message
from trials
where trials.status = 'failed'
    and trials.sweep_id = coalesce(cast(:sweep_id as integer), trials.sweep_id)
group by trials.error_reason
order by n_trials desc, trials.error_reason;
