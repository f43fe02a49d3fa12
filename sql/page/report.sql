-- users: which users of the sweep have rated most, least, and so many in between?
with leader as (
    select ranked_trials.trial_id
    from ranked_trials
    where ranked_trials.sweep_id = cast(:sweep_id as integer)
    order by ranked_trials.place
    limit 1
),

judged as (
    select
        user_results.user_id,
        row_number() over (order by user_results.n_train_ratings, user_results.user_id) - 1 as place,
        count(*) over () - 1 as last_place
    from user_results
    join leader using (trial_id)
    where user_results.sweep_id = cast(:sweep_id as integer) and user_results.split = 'validation'
),

positions as (
    select distinct cast(round(judged.last_place * step / (cast(:n_users as integer) - 1.0)) as bigint) as place
    from judged
    cross join generate_series(0, cast(:n_users as integer) - 1) as step
    where judged.place = 0
)

select judged.user_id
from judged
join positions using (place)
order by judged.place desc;

-- known_users: which of these users have lists in the sweep, or ratings that were predicted?
select asked.user_id
from unnest(cast(:user_ids as text[])) with ordinality as asked (user_id, place)
where exists (
    select from recommendations
    join trials using (sweep_id, trial_id)
    where recommendations.sweep_id = cast(:sweep_id as integer) and recommendations.user_id = asked.user_id collate "C"
)
or exists (
    select from rating_predictions
    join trials using (sweep_id, trial_id)
    where rating_predictions.sweep_id = cast(:sweep_id as integer) and rating_predictions.user_id = asked.user_id collate "C"
)
order by asked.place;

-- trials: which trials of the sweep are looked at first?
select ranked_trials.trial_id
from ranked_trials
join trials using (trial_id)
where ranked_trials.sweep_id = cast(:sweep_id as integer) and (ranked_trials.place <= 10 or trials.is_baseline)
order by ranked_trials.place;
