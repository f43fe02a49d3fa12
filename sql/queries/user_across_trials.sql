-- Which items do the trials of a sweep recommend to a user, and how many of them agree?
-- parameters: user_id=1, sweep_id=, k=20
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
)

select
    recommendations.item_id,
    items.title,
    items.n_ratings,
    count(*) as n_trials,
    min(recommendations.rank) as best_rank,
    round(avg(recommendations.rank), 1) as mean_rank,
    string_agg(trials.label || ' #' || recommendations.rank, ', ' order by recommendations.rank, trials.label)
        as trials_and_ranks
from chosen
join recommendations using (sweep_id)
join trials using (sweep_id, trial_id)
join sweeps using (sweep_id)
join items on items.dataset_id = sweeps.dataset_id and items.item_id = recommendations.item_id
where trials.refit_of is null
    and recommendations.user_id = cast(:user_id as text)
    and recommendations.rank <= cast(:k as integer)
group by recommendations.item_id, items.title, items.n_ratings, items.item_index
order by n_trials desc, mean_rank, items.item_index;
