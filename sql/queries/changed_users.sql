-- Whose lists changed most between the best trials of two sweeps?
-- parameters: sweep_id=, earlier_sweep_id=, limit=20
with later as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

earlier as (
    select coalesce(cast(:earlier_sweep_id as integer), max(older.sweep_id)) as sweep_id
    from later
    join sweeps using (sweep_id)
    join sweeps as older on older.dataset_id = sweeps.dataset_id and older.sweep_id < sweeps.sweep_id
        and not older.is_refresh
    join trials on trials.sweep_id = older.sweep_id and trials.status = 'succeeded'
),

later_trial as (
    select trials.sweep_id, trials.trial_id
    from trials
    join later using (sweep_id)
    where trials.status = 'succeeded' and trials.refit_of is null and trials.lists_removed_at is null
    order by trials.is_baseline, trials.val_rmse, trials.label
    limit 1
),

earlier_trial as (
    select trials.sweep_id, trials.trial_id
    from trials
    join earlier using (sweep_id)
    where trials.status = 'succeeded' and trials.refit_of is null and trials.lists_removed_at is null
    order by trials.is_baseline, trials.val_rmse, trials.label
    limit 1
),

now_listed as (
    select recommendations.user_id, recommendations.item_id
    from recommendations
    join later_trial using (sweep_id, trial_id)
),

then_listed as (
    select recommendations.user_id, recommendations.item_id
    from recommendations
    join earlier_trial using (sweep_id, trial_id)
),

compared as (
    select
        user_id,
        count(*) filter (where then_listed.item_id is null) as n_new,
        count(*) filter (where now_listed.item_id is null) as n_gone,
        count(*) filter (where now_listed.item_id is not null and then_listed.item_id is not null) as n_kept
    from now_listed
    full join then_listed using (user_id, item_id)
    group by user_id
)

select
    compared.user_id,
    compared.n_new,
    compared.n_gone,
    compared.n_kept,
    (select trials.label from trials join later_trial using (trial_id)) as label,
    (select trials.label from trials join earlier_trial using (trial_id)) as earlier_label
from compared
where exists (select from earlier_trial)
order by compared.n_kept, compared.n_new desc, length(compared.user_id), compared.user_id
limit cast(:limit as integer);
