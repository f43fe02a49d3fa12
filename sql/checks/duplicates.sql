-- No item is twice in a list.
with repeated as (
    select recommendations.trial_id, recommendations.user_id, recommendations.item_id
    from recommendations
    join checked_trials using (trial_id)
    where recommendations.sweep_id = :sweep_id
    group by recommendations.trial_id, recommendations.user_id, recommendations.item_id
    having count(*) > 1
)

select
    repeated.trial_id,
    count(*) as n_rows,
    min(format('user %s: item %s', repeated.user_id, repeated.item_id)) as example
from repeated
group by repeated.trial_id;
