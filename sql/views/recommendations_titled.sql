-- Every recommendation with what a person wants to read.
create view recommendations_titled as
select
    recommendations.sweep_id,
    recommendations.trial_id,
    trials.label,
    datasets.name as dataset_name,
    recommendations.user_id,
    recommendations.rank,
    recommendations.item_id,
    items.title,
    items.genres,
    items.n_ratings,
    recommendations.score,
    case
        when (coalesce(trials.val_rmse, chosen.val_rmse) is not null and trials.family <> 'item_popularity')
            then cast(least(greatest(recommendations.score, datasets.rating_min), datasets.rating_max) as real)
    end as predicted_rating
from recommendations
join trials using (sweep_id, trial_id)
left join trials as chosen on chosen.trial_id = trials.refit_of
join sweeps on sweeps.sweep_id = recommendations.sweep_id
join datasets using (dataset_id)
join items on items.dataset_id = datasets.dataset_id and items.item_id = recommendations.item_id;

comment on view recommendations_titled is 'Every recommendation with title, genres, support and predicted rating.';
comment on column recommendations_titled.n_ratings is 'ratings of the item in the whole data set: its support';
comment on column recommendations_titled.predicted_rating is 'score, clipped to the scale of the data set; null where scores are no ratings (item popularity)';
