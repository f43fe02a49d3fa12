-- What share of the top k do every two trials have in common, on average over users?
-- parameters: sweep_id=, k=20
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

listed as materialized (
    select recommendations.trial_id, recommendations.user_id, recommendations.item_id
    from recommendations
    join chosen using (sweep_id)
    join trials using (sweep_id, trial_id)
    where trials.refit_of is null and recommendations.rank <= cast(:k as integer)
),

-- All trials that recommend an item to a user, in one row, so that pairs need no join of the lists.
recommending as (
    select listed.user_id, listed.item_id, array_agg(listed.trial_id order by listed.trial_id) as trial_ids
    from listed
    group by listed.user_id, listed.item_id
),

same as (
    select recommending.trial_ids, count(*) as n_common
    from recommending
    group by recommending.trial_ids
),

common as (
    select a.trial_id as a_id, b.trial_id as b_id, sum(same.n_common) as n_common
    from same
    cross join unnest(same.trial_ids) as a (trial_id)
    cross join unnest(same.trial_ids) as b (trial_id)
    where a.trial_id < b.trial_id
    group by a.trial_id, b.trial_id
),

sizes as (
    select listed.trial_id, count(*) as n_listed
    from listed
    group by listed.trial_id
)

select
    trials_a.label,
    trials_b.label as other_label,
    round(coalesce(common.n_common, 0) / greatest(sizes_a.n_listed, sizes_b.n_listed), 4) as overlap
from sizes as sizes_a
join sizes as sizes_b on sizes_a.trial_id < sizes_b.trial_id
left join common on common.a_id = sizes_a.trial_id and common.b_id = sizes_b.trial_id
join trials as trials_a on trials_a.trial_id = sizes_a.trial_id
join trials as trials_b on trials_b.trial_id = sizes_b.trial_id
order by overlap desc, trials_a.label, trials_b.label;
