-- Every item listed is in the catalogue and has the training ratings that the protocol asks for.
select
    recommendations.trial_id,
    count(*) as n_rows,
    min(format('user %s: item %s', recommendations.user_id, recommendations.item_id)) as example
from recommendations
join checked_trials using (trial_id)
left join checked_candidates using (item_id)
where recommendations.sweep_id = :sweep_id and checked_candidates.item_id is null
group by recommendations.trial_id;
