-- What is recommended to a user, by the trial that is served?
-- parameters: user_id=1, dataset=, k=20
-- An id means another person in another data set: one of them is chosen, that of the newest sweep by default.
with newest as (
    select serving_trials.dataset_name
    from serving_trials
    join datasets on datasets.name = serving_trials.dataset_name
    join sweeps on sweeps.dataset_id = datasets.dataset_id
    order by sweeps.sweep_id desc
    limit 1
)

select
    best_recommendations.dataset_name,
    best_recommendations.label,
    best_recommendations.rank,
    best_recommendations.item_id,
    best_recommendations.title,
    array_to_string(best_recommendations.genres, ', ') as genres,
    best_recommendations.n_ratings,
    best_recommendations.score,
    best_recommendations.predicted_rating
from newest
join best_recommendations
    on best_recommendations.dataset_name = coalesce(cast(:dataset as text), newest.dataset_name)
where best_recommendations.user_id = cast(:user_id as text)
    and best_recommendations.rank <= cast(:k as integer)
order by best_recommendations.rank;
