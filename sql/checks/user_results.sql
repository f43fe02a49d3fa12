-- The results of users add up to the metrics of their trial.
with added as (
    select
        user_results.trial_id,
        user_results.split,
        sqrt(sum(user_results.squared_error) / sum(user_results.n_ratings)) as rmse,
        sum(user_results.absolute_error) / sum(user_results.n_ratings) as mae,
        avg(cast(user_results.ndcg as double precision)) as ndcg,
        avg(cast(user_results.recall as double precision)) as recall,
        avg(cast(user_results.precision as double precision)) as precision,
        avg(cast(user_results.map as double precision)) as map,
        avg(cast(user_results.hit_rate as double precision)) as hit_rate,
        avg(cast(user_results.mrr as double precision)) as mrr
    from user_results
    join checked_trials using (trial_id)
    where user_results.sweep_id = :sweep_id
    group by user_results.trial_id, user_results.split
),

named as (
    select added.trial_id, added.split, measures.name, measures.value
    from added
    join sweeps on sweeps.sweep_id = :sweep_id
    cross join lateral (
        values
        ('rmse', added.rmse),
        ('mae', added.mae),
        ('ndcg@' || (sweeps.protocol ->> 'k'), added.ndcg),
        ('recall@' || (sweeps.protocol ->> 'k'), added.recall),
        ('precision@' || (sweeps.protocol ->> 'k'), added.precision),
        ('map@' || (sweeps.protocol ->> 'k'), added.map),
        ('hit_rate@' || (sweeps.protocol ->> 'k'), added.hit_rate),
        ('mrr@' || (sweeps.protocol ->> 'k'), added.mrr)
    ) as measures (name, value)
)

select
    named.trial_id,
    count(*) as n_rows,
    min(format('%s on %s: users add up to %s, stored is %s', named.name, named.split, named.value, metrics.value)) as example
from named
left join metrics using (trial_id, split, name)
-- Users' rankings are kept in single precision.
where (named.value is null) <> (metrics.value is null) or abs(named.value - metrics.value) > 1e-6 * greatest(1, abs(metrics.value))
group by named.trial_id;
