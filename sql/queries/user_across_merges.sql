-- What does the best trial of each merge recommend to a user, side by side?
-- parameters: user_id=1, sweep_id=, k=20
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

best_of_merge as (
    select distinct on (trials.merge) trials.merge, trials.trial_id, trials.sweep_id
    from trials
    join chosen using (sweep_id)
    where trials.status = 'succeeded' and not trials.is_baseline and trials.refit_of is null
        and trials.lists_removed_at is null
    order by trials.merge, trials.val_rmse, trials.label
),

listed as (
    select best_of_merge.merge, recommendations.rank, items.title
    from best_of_merge
    join recommendations using (sweep_id, trial_id)
    join sweeps using (sweep_id)
    join items on items.dataset_id = sweeps.dataset_id and items.item_id = recommendations.item_id
    where recommendations.user_id = cast(:user_id as text)
        and recommendations.rank <= cast(:k as integer)
)

select
    listed.rank,
    max(listed.title) filter (where listed.merge = 'concatenate') as concatenate,
    max(listed.title) filter (where listed.merge = 'multiply') as multiply,
    max(listed.title) filter (where listed.merge = 'average') as average,
    max(listed.title) filter (where listed.merge = 'dot') as dot
from listed
group by listed.rank
order by listed.rank;
