-- How did the losses and the objective of a trial go, epoch by epoch?
-- parameters: label=, sweep_id=
with chosen as (
    select trials.trial_id, trials.label, trials.best_epoch
    from trials
    where trials.sweep_id = coalesce(cast(:sweep_id as integer), (select max(sweeps.sweep_id) from sweeps where not sweeps.is_refresh))
        and trials.label = coalesce(cast(:label as text), trials.label)
        and not trials.is_baseline
    order by trials.val_rmse nulls last, trials.label
    limit 1
)

select
    chosen.label,
    epochs.epoch,
    round(epochs.loss::numeric, 4) as loss,
    round(epochs.val_loss::numeric, 4) as val_loss,
    round(epochs.val_rmse::numeric, 4) as val_rmse,
    round(epochs.objective::numeric, 4) as objective,
    round(epochs.seconds::numeric, 2) as seconds,
    coalesce(epochs.epoch = chosen.best_epoch, false) as is_best
from chosen
join epochs using (trial_id)
order by epochs.epoch;
