-- Which trials were stopped, at which rung and by how much, and how many epochs did that save at most?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(sweeps.sweep_id)) as sweep_id
    from sweeps
    where not sweeps.is_refresh
),

trained as (
    select epochs.trial_id, max(epochs.epoch) as epoch
    from epochs
    group by epochs.trial_id
)

select
    trials.label,
    trials.family,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    trials.stopped_by ->> 'rule' as rule,
    trials.stopped_epoch as rung,
    round(trials.stopped_value::numeric, 4) as reached,
    round(trials.stopped_against::numeric, 4) as needed,
    round(abs(trials.stopped_value - trials.stopped_against)::numeric, 4) as behind_by,
    trained.epoch as n_epochs,
    cast(trials.config -> 'training' ->> 'max_epochs' as integer) - trained.epoch as saved_epochs,
    sum(cast(trials.config -> 'training' ->> 'max_epochs' as integer) - trained.epoch) over () as saved_by_all
from trials
join chosen using (sweep_id)
join sweeps using (sweep_id)
join trained using (trial_id)
where trials.status = 'stopped'
order by trials.stopped_epoch, behind_by desc, trials.label;
