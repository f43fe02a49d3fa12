-- Which items does no trial of a sweep recommend to anybody, the most rated first?
-- parameters: sweep_id=, limit=50
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

listed as (
    select distinct recommendations.item_id
    from recommendations
    join chosen using (sweep_id)
    join trials using (sweep_id, trial_id)
    where trials.refit_of is null
),

unlisted as (
    select items.item_id, items.item_index, items.title, items.n_ratings
    from chosen
    join sweeps using (sweep_id)
    join items using (dataset_id)
    left join listed using (item_id)
    where listed.item_id is null
)

select
    unlisted.item_id,
    unlisted.title,
    unlisted.n_ratings,
    count(*) over () as n_never_recommended
from unlisted
order by unlisted.n_ratings desc, unlisted.item_index
limit cast(:limit as integer);
