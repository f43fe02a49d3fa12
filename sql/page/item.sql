-- found: which items have this text in their title, or as their id?
select items.item_id, items.title, items.genres, items.n_ratings
from items
where items.dataset_id = cast(:dataset_id as integer)
    and (items.item_id = cast(:q as text) or position(lower(cast(:q as text)) in lower(items.title)) > 0)
order by items.item_id = cast(:q as text) desc, items.n_ratings desc, items.item_index
limit 50;

-- item: what is this item?
select items.item_id, items.item_index, items.title, items.genres, items.n_ratings
from items
where items.dataset_id = cast(:dataset_id as integer) and items.item_id = cast(:item_id as text);

-- listed: in how many lists of each trial is the item, at which rank, and for whom?
with looked as (
    select named.trial_id, list.user_id, list.rank, list.item_id
    from unnest(cast(:trials as integer[])) as named (trial_id)
    join trials using (trial_id)
    cross join lateral (
        -- Of more users the first, so that no view reads millions of rows.
        select recommendations.user_id, recommendations.rank, recommendations.item_id
        from recommendations
        where recommendations.sweep_id = trials.sweep_id and recommendations.trial_id = trials.trial_id
        order by recommendations.user_id, recommendations.rank
        limit 60000
    ) as list
)

select
    looked.trial_id,
    looked.rank,
    count(*) as n_users,
    count(*) filter (where looked.item_id = cast(:item_id as text)) as n_lists,
    (array_agg(looked.user_id) filter (where looked.item_id = cast(:item_id as text)))[1:5] as user_ids
from looked
group by looked.trial_id, looked.rank
order by looked.trial_id, looked.rank;

-- similar: what are the items called that the model holds similar?
select items.item_index, items.item_id, items.title, items.genres, items.n_ratings
from items
where items.dataset_id = cast(:dataset_id as integer)
    and items.item_index = any(cast(:item_indexes as integer[]))
order by items.item_index;

-- most_rated: which items have most ratings?
select items.item_id, items.title, items.genres, items.n_ratings
from items
where items.dataset_id = cast(:dataset_id as integer)
order by items.n_ratings desc, items.item_index
limit 10;
