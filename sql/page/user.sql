-- lists: which items does each of the trials recommend to the user?
select named.trial_id, list.rank, list.item_id, items.title, items.genres, items.n_ratings, list.score
from unnest(cast(:trials as integer[])) as named (trial_id)
join trials using (trial_id)
join sweeps using (sweep_id)
cross join lateral (
    select recommendations.rank, recommendations.item_id, recommendations.score
    from recommendations
    where recommendations.sweep_id = trials.sweep_id
        and recommendations.trial_id = trials.trial_id
        and recommendations.user_id = cast(:user_id as text)
    order by recommendations.rank
    limit 50
) as list
join items on items.dataset_id = sweeps.dataset_id and items.item_id = list.item_id
order by named.trial_id, list.rank;

-- rated: which items has the user rated highest?
select
    named.trial_id,
    rated.rank,
    rated.item_id,
    items.title,
    items.genres,
    items.n_ratings,
    rated.rating
from unnest(cast(:trials as integer[])) as named (trial_id)
join trials using (trial_id)
join sweeps using (sweep_id)
cross join lateral (
    select
        rating_predictions.rank,
        rating_predictions.item_id,
        rating_predictions.rating
    from rating_predictions
    where rating_predictions.sweep_id = trials.sweep_id
        and rating_predictions.trial_id = trials.trial_id
        and rating_predictions.user_id = cast(:user_id as text)
    order by rating_predictions.rank
    limit 50
) as rated
join items on items.dataset_id = sweeps.dataset_id and items.item_id = rated.item_id
order by named.trial_id, rated.rank;

-- results: how well did the evaluated list of each trial find what was held out of the user's ratings?
select
    named.trial_id,
    parts.split,
    result.n_train_ratings,
    result.n_ratings,
    result.squared_error,
    result.ndcg,
    result.recall,
    result.precision,
    result.are_hits_kept
from unnest(cast(:trials as integer[])) as named (trial_id)
join trials using (trial_id)
cross join (values ('validation'), ('test')) as parts (split)
cross join lateral (
    select
        user_results.n_train_ratings,
        user_results.n_ratings,
        user_results.squared_error,
        user_results.ndcg,
        user_results.recall,
        user_results.precision,
        user_results.hit_items is not null as are_hits_kept
    from user_results
    where user_results.sweep_id = trials.sweep_id
        and user_results.trial_id = trials.trial_id
        and user_results.split = parts.split
        and user_results.user_id = cast(:user_id as text)
) as result
order by named.trial_id, parts.split desc;

-- hits: which of the held out items did the evaluated list of each trial find, and at which rank?
select named.trial_id, user_results.split, hits.rank, hits.item_id, items.title
from unnest(cast(:trials as integer[])) as named (trial_id)
join trials using (trial_id)
join sweeps using (sweep_id)
cross join (values ('validation'), ('test')) as parts (split)
join user_results
    on user_results.sweep_id = trials.sweep_id
    and user_results.trial_id = trials.trial_id
    and user_results.split = parts.split
    and user_results.user_id = cast(:user_id as text)
cross join lateral unnest(user_results.hit_items, user_results.hit_ranks) as hits (item_id, rank)
join items on items.dataset_id = sweeps.dataset_id and items.item_id = hits.item_id
order by named.trial_id, parts.split desc, hits.rank;

-- items: what are the other items called that the user rated?
select items.item_id, items.title, items.genres
from items
where items.dataset_id = (
        select sweeps.dataset_id
        from trials
        join sweeps using (sweep_id)
        where trials.trial_id = (cast(:trials as integer[]))[1]
    )
    and items.item_id = any(cast(:items as text[]))
order by items.item_index;

-- examples: which users are there, the first by id?
select recommendations.user_id
from recommendations
where recommendations.sweep_id = (
        select trials.sweep_id from trials where trials.trial_id = (cast(:trials as integer[]))[1]
    )
    and recommendations.trial_id = (cast(:trials as integer[]))[1]
    and recommendations.rank = 1
order by recommendations.user_id
limit 8;
