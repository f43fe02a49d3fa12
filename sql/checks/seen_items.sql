-- No list holds an item that its user rated.
select
    recommendations.trial_id,
    count(*) as n_rows,
    min(format('user %s: item %s', recommendations.user_id, recommendations.item_id)) as example
from recommendations
join checked_trials using (trial_id)
join checked_ratings using (user_id, item_id)
where recommendations.sweep_id = :sweep_id
group by recommendations.trial_id;
