-- For whom is one trial better than another: users with few, some or many training ratings?
-- parameters: label=, other_label=, sweep_id=, split=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(sweeps.sweep_id)) as sweep_id
    from sweeps
    where not sweeps.is_refresh
        -- A look into the index for each trial, in place of all rows of all sweeps.
        and exists (
            select from trials
            join user_results using (sweep_id, trial_id)
            where trials.sweep_id = sweeps.sweep_id
        )
),

places as (
    select ranked_trials.trial_id, trials.label, ranked_trials.place
    from ranked_trials
    join chosen using (sweep_id)
    join trials on trials.trial_id = ranked_trials.trial_id
),

-- Unless they are named, the leader and the first of the others.
first_trial as (
    select places.trial_id, places.label
    from places
    where places.label = coalesce(cast(:label as text), places.label)
    order by places.place
    limit 1
),

other_trial as (
    select places.trial_id, places.label
    from places
    where places.label = coalesce(cast(:other_label as text), places.label)
        and places.trial_id <> (select first_trial.trial_id from first_trial)
    order by places.place
    limit 1
),

-- The test part judges where there is one.
judging as (
    select coalesce(cast(:split as text), min(user_results.split)) as split
    from user_results
    join chosen using (sweep_id)
    join first_trial using (trial_id)
),

paired as (
    select
        ours.user_id,
        ours.n_train_ratings,
        ours.n_ratings,
        ours.squared_error,
        theirs.squared_error as other_squared_error,
        ours.ndcg,
        theirs.ndcg as other_ndcg
    from user_results as ours
    join chosen on chosen.sweep_id = ours.sweep_id
    join first_trial on first_trial.trial_id = ours.trial_id
    join judging on judging.split = ours.split
    join user_results as theirs
        on theirs.sweep_id = ours.sweep_id and theirs.split = ours.split and theirs.user_id = ours.user_id
    join other_trial on other_trial.trial_id = theirs.trial_id
),

limits as (
    select
        percentile_disc(1.0 / 3) within group (order by paired.n_train_ratings) as light,
        percentile_disc(2.0 / 3) within group (order by paired.n_train_ratings) as medium
    from paired
),

grouped as (
    select
        paired.n_train_ratings,
        paired.n_ratings,
        paired.squared_error,
        paired.other_squared_error,
        paired.ndcg,
        paired.other_ndcg,
        case
            when paired.n_train_ratings <= limits.light then 1
            when paired.n_train_ratings <= limits.medium then 2
            else 3
        end as place
    from paired
    cross join limits
)

select
    (array['light', 'medium', 'heavy'])[grouped.place] as users,
    min(grouped.n_train_ratings) || ' to ' || max(grouped.n_train_ratings) as ratings,
    count(*) as n_users,
    first_trial.label,
    other_trial.label as other_label,
    judging.split,
    round(sqrt(sum(grouped.squared_error) / sum(grouped.n_ratings))::numeric, 4) as rmse,
    round(sqrt(sum(grouped.other_squared_error) / sum(grouped.n_ratings))::numeric, 4) as other_rmse,
    round(avg(grouped.ndcg)::numeric, 4) as ndcg,
    round(avg(grouped.other_ndcg)::numeric, 4) as other_ndcg,
    round(avg(cast(grouped.ndcg > grouped.other_ndcg as integer)), 2) as higher_ndcg,
    round(avg(cast(grouped.ndcg < grouped.other_ndcg as integer)), 2) as lower_ndcg
from grouped
cross join first_trial
cross join other_trial
cross join judging
group by grouped.place, first_trial.label, other_trial.label, judging.split
order by grouped.place;
