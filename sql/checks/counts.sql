-- Every user of the data set, and nobody else, has k items, or all candidates where there are fewer.
with seen as (
    select checked_ratings.user_id, count(distinct checked_candidates.item_id) as n_seen
    from checked_ratings
    left join checked_candidates using (item_id)
    group by checked_ratings.user_id
),

expected as (
    select
        seen.user_id,
        least(
            cast(sweeps.protocol ->> 'k' as integer),
            (select count(*) from checked_candidates) - seen.n_seen
        ) as n_expected
    from seen
    cross join sweeps
    where sweeps.sweep_id = :sweep_id
),

finished as (
    select trials.trial_id
    from trials
    join checked_trials using (trial_id)
    where trials.sweep_id = :sweep_id and trials.status = 'succeeded'
),

listed as (
    select recommendations.trial_id, recommendations.user_id, count(*) as n_listed
    from recommendations
    join checked_trials using (trial_id)
    where recommendations.sweep_id = :sweep_id
    group by recommendations.trial_id, recommendations.user_id
),

wanted as (
    select finished.trial_id, expected.user_id, expected.n_expected
    from finished
    cross join expected
    where expected.n_expected > 0
),

compared as (
    select
        trial_id,
        user_id,
        coalesce(wanted.n_expected, 0) as n_expected,
        coalesce(listed.n_listed, 0) as n_listed
    from wanted
    full join listed using (trial_id, user_id)
)

select
    compared.trial_id,
    count(*) as n_rows,
    min(format('user %s: %s instead of %s', compared.user_id, compared.n_listed, compared.n_expected)) as example
from compared
where compared.n_expected <> compared.n_listed
group by compared.trial_id;
