-- Which items do the trials of a sweep recommend to a user, and how many of them agree?
-- parameters: user_id=1, sweep_id=, k=20
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

-- A look into the index for each trial: otherwise the planner may read the lists of all users.
listed as (
    select trials.sweep_id, trials.label, list.item_id, list.rank
    from chosen
    join trials using (sweep_id)
    cross join lateral (
        select recommendations.item_id, recommendations.rank
        from recommendations
        where recommendations.sweep_id = trials.sweep_id
            and recommendations.trial_id = trials.trial_id
            and recommendations.user_id = cast(:user_id as text)
        order by recommendations.rank
        limit cast(:k as integer)
    ) as list
    where trials.refit_of is null
)

select
    listed.item_id,
    items.title,
    items.n_ratings,
    count(*) as n_trials,
    min(listed.rank) as best_rank,
    round(avg(listed.rank), 1) as mean_rank,
    string_agg(listed.label || ' #' || listed.rank, ', ' order by listed.rank, listed.label)
        as trials_and_ranks
from listed
join sweeps using (sweep_id)
join items on items.dataset_id = sweeps.dataset_id and items.item_id = listed.item_id
group by listed.item_id, items.title, items.n_ratings, items.item_index
order by n_trials desc, mean_rank, items.item_index;
