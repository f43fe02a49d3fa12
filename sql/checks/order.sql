-- Scores fall with the rank; of equal scores the smaller item_index comes first.
with placed as (
    select
        recommendations.trial_id,
        recommendations.user_id,
        recommendations.rank,
        recommendations.score,
        items.item_index,
        lag(recommendations.score) over list as score_above,
        lag(items.item_index) over list as item_index_above
    from recommendations
    join checked_trials using (trial_id)
    join sweeps using (sweep_id)
    join items on items.dataset_id = sweeps.dataset_id and items.item_id = recommendations.item_id
    where recommendations.sweep_id = :sweep_id
    window list as (
        partition by recommendations.trial_id, recommendations.user_id order by recommendations.rank
    )
)

select
    placed.trial_id,
    count(*) as n_rows,
    min(format('user %s: rank %s with score %s', placed.user_id, placed.rank, placed.score)) as example
from placed
where placed.score > placed.score_above
    or (placed.score = placed.score_above and placed.item_index < placed.item_index_above)
group by placed.trial_id;
