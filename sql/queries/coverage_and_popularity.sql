-- How much of the catalogue does each trial recommend, and how popular are its items?
-- parameters: sweep_id=
with chosen as (
    select coalesce(cast(:sweep_id as integer), max(trials.sweep_id)) as sweep_id
    from trials
    join sweeps using (sweep_id)
    where trials.status = 'succeeded' and not sweeps.is_refresh
),

listed as (
    select recommendations.trial_id, recommendations.item_id, count(*) as n_lists
    from recommendations
    join chosen using (sweep_id)
    join trials using (sweep_id, trial_id)
    where trials.refit_of is null
    group by recommendations.trial_id, recommendations.item_id
)

select
    trials.label,
    count(*) as n_items,
    round(count(*)::numeric / datasets.n_items, 4) as coverage,
    round(sum(listed.n_lists * items.n_ratings) / sum(listed.n_lists), 1) as mean_ratings_of_item,
    max(listed.n_lists) as lists_with_commonest_item,
    (array_agg(items.title order by listed.n_lists desc, items.item_index))[1] as commonest_item
from listed
join trials using (trial_id)
join sweeps using (sweep_id)
join datasets using (dataset_id)
join items on items.dataset_id = sweeps.dataset_id and items.item_id = listed.item_id
group by trials.label, datasets.n_items
order by coverage desc, trials.label;
