-- How good is each configuration of a sweep over its random seeds: mean, spread and number?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

judged as (
    select
        ranked_trials.place,
        trials.label,
        ranked_trials.objective,
        ranked_trials.validation_value,
        ranked_trials.test_value,
        trials.train_seconds,
        coalesce(trials.config -> 'training' ->> 'random_seed', trials.config -> 'architecture' ->> 'random_seed') as random_seed,
        trials.config #- '{training,random_seed}' #- '{architecture,random_seed}' as configuration
    from ranked_trials
    join chosen using (sweep_id)
    join trials on trials.trial_id = ranked_trials.trial_id
    where ranked_trials.validation_value is not null
)

select
    min(judged.place) as best_place,
    (array_agg(judged.label order by judged.place))[1] as best_label,
    judged.objective,
    count(*) as n_seeds,
    round(avg(judged.validation_value)::numeric, 5) as mean,
    round(stddev_samp(judged.validation_value)::numeric, 5) as spread,
    round(min(judged.validation_value)::numeric, 5) as smallest,
    round(max(judged.validation_value)::numeric, 5) as largest,
    round(avg(judged.test_value)::numeric, 5) as test_mean,
    round(stddev_samp(judged.test_value)::numeric, 5) as test_spread,
    round(avg(judged.train_seconds)::numeric, 1) as mean_train_seconds,
    string_agg(judged.random_seed, ', ' order by judged.place) as random_seeds
from judged
group by judged.configuration, judged.objective
order by best_place;
