-- How each succeeded trial of every sweep compares with the leader of its sweep, best first by the objective on validation.
create view trial_verdicts as
select
    verdicts.sweep_id,
    sweeps.name as sweep_name,
    datasets.name as dataset_name,
    ranked_trials.place,
    verdicts.trial_id,
    trials.label,
    trials.is_baseline,
    leaders.label as leader_label,
    verdicts.verdict,
    verdicts.difference,
    verdicts.lower,
    verdicts.upper,
    verdicts.p_value,
    verdicts.objective,
    verdicts.split,
    verdicts.n_users,
    verdicts.n_seeds,
    verdicts.reason,
    trials.train_seconds,
    trials.n_parameters,
    sweeps.judged_at is not null as is_current,
    verdicts.computed_at
from verdicts
join trials using (trial_id)
join trials as leaders on leaders.trial_id = verdicts.leader_trial_id
join sweeps on sweeps.sweep_id = verdicts.sweep_id
join datasets using (dataset_id)
join ranked_trials on ranked_trials.trial_id = verdicts.trial_id;

comment on view trial_verdicts is
'How each succeeded trial compares with the leader of its sweep: winner, tie or worse, with the interval of the difference.';
comment on column trial_verdicts.place is 'from 1 within the sweep, by the objective on validation';
comment on column trial_verdicts.difference is 'objective of the trial minus that of the leader; null for the leader''s own configuration';
comment on column trial_verdicts.is_current is 'false when trials were added to the sweep, or queued again, since the verdicts were computed';
