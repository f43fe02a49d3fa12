-- The ranks of a list are 1, 2, … without a gap.
with lists as (
    select
        recommendations.trial_id,
        recommendations.user_id,
        count(*) as n_listed,
        min(recommendations.rank) as first_rank,
        max(recommendations.rank) as last_rank
    from recommendations
    join checked_trials using (trial_id)
    where recommendations.sweep_id = :sweep_id
    group by recommendations.trial_id, recommendations.user_id
)

select
    lists.trial_id,
    count(*) as n_rows,
    min(format('user %s: %s ranks from %s to %s', lists.user_id, n_listed, first_rank, last_rank)) as example
from lists
where lists.first_rank <> 1 or lists.last_rank <> lists.n_listed
group by lists.trial_id;
