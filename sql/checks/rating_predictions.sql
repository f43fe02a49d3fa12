-- Every user has the k top-rated items with the ratings of the data set, by rating, then item_index.
with ranked as (
    select
        checked_ratings.user_id,
        checked_ratings.item_id,
        checked_ratings.rating,
        row_number() over (
            partition by checked_ratings.user_id order by checked_ratings.rating desc, items.item_index
        ) as rank
    from checked_ratings
    cross join sweeps
    join items on items.dataset_id = sweeps.dataset_id and items.item_id = checked_ratings.item_id
    where sweeps.sweep_id = :sweep_id
),

wanted as (
    select trials.trial_id, ranked.user_id, ranked.rank, ranked.item_id, ranked.rating
    from trials
    join checked_trials using (trial_id)
    join sweeps using (sweep_id)
    join ranked on ranked.rank <= cast(sweeps.protocol ->> 'k' as integer)
    where trials.sweep_id = :sweep_id and trials.status = 'succeeded'
),

stored as (
    select
        rating_predictions.trial_id,
        rating_predictions.user_id,
        rating_predictions.rank,
        rating_predictions.item_id,
        rating_predictions.rating
    from rating_predictions
    join checked_trials using (trial_id)
    where rating_predictions.sweep_id = :sweep_id
)

select
    trial_id,
    count(*) as n_rows,
    min(format('user %s: rank %s', user_id, rank)) as example
from wanted
full join stored using (trial_id, user_id, rank)
where wanted.item_id is distinct from stored.item_id or wanted.rating is distinct from stored.rating
group by trial_id;
