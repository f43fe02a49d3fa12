-- The recommendations of the trial that is served for each data set.
create view best_recommendations as
select
    serving_trials.dataset_name,
    recommendations.user_id,
    recommendations.rank,
    recommendations.item_id,
    items.title,
    items.genres,
    items.n_ratings,
    recommendations.score,
    case
        when serving_trials.scores_are_ratings then cast(
            least(greatest(recommendations.score, serving_trials.rating_min), serving_trials.rating_max) as real
        )
    end as predicted_rating,
    serving_trials.label,
    serving_trials.is_promoted,
    serving_trials.sweep_id,
    serving_trials.trial_id,
    serving_trials.is_refit,
    serving_trials.chosen_label,
    serving_trials.dataset_id,
    serving_trials.fingerprint
from serving_trials
join recommendations using (sweep_id, trial_id)
join items on items.dataset_id = serving_trials.dataset_id and items.item_id = recommendations.item_id;

comment on view best_recommendations is
'The top k of every user from the trial in serving_trials: what an application reads, by dataset_name and user_id.';
comment on column best_recommendations.predicted_rating is 'score, clipped to the scale of the data set; null where scores are no ratings (item popularity)';
comment on column best_recommendations.is_refit is 'whether the trial learned from all ratings of its version';
comment on column best_recommendations.chosen_label is 'label of the trial that was chosen by its metrics: of a refit another one, else the trial itself';
comment on column best_recommendations.fingerprint is 'the version of the ratings that the trial was trained on';
