-- What is recommended to a user, by the trial that is served?
-- parameters: user_id=1, k=20
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
from best_recommendations
where best_recommendations.user_id = cast(:user_id as text)
    and best_recommendations.rank <= cast(:k as integer)
order by best_recommendations.dataset_name, best_recommendations.sweep_id, best_recommendations.rank;
