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
    select trials.trial_id, trials.sweep_id, protocol.k, first_users.n_users, first_users.last_user_id
    from unnest(cast(:trials as integer[])) as named (trial_id)
    join trials using (trial_id)
    join sweeps using (sweep_id)
    cross join lateral (select cast(sweeps.protocol ->> 'k' as integer)) as protocol (k)
    cross join lateral (
        -- Where there are more users the first by id, so that no view reads millions of rows.
        select count(*) as n_users, max(list.user_id) as last_user_id
        from (
            select recommendations.user_id
            from recommendations
            where recommendations.sweep_id = trials.sweep_id
                and recommendations.trial_id = trials.trial_id
                and recommendations.rank = 1
            order by recommendations.user_id
            limit 130000 / protocol.k
        ) as list
    ) as first_users
),

listed as (
    select
        looked.trial_id,
        list.rank,
        count(*) as n_lists,
        (array_agg(list.user_id order by list.user_id))[1:5] as user_ids
    from looked
    cross join lateral (
        select recommendations.rank, recommendations.user_id
        from recommendations
        where recommendations.sweep_id = looked.sweep_id
            and recommendations.trial_id = looked.trial_id
            and recommendations.user_id <= looked.last_user_id
            and recommendations.item_id = cast(:item_id as text)
        -- Keeps one trial at a time, by the index: joined, all lists of the sweep would be read.
        offset 0
    ) as list
    group by looked.trial_id, list.rank
)

select
    looked.trial_id,
    ranks.rank,
    looked.n_users,
    coalesce(listed.n_lists, 0) as n_lists,
    listed.user_ids
from looked
cross join lateral generate_series(1, looked.k) as ranks (rank)
left join listed using (trial_id, rank)
order by looked.trial_id, ranks.rank;

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
