-- The hits of a user are items of the catalogue at ascending ranks, and their results follow from them.
with judged as (
    select
        user_results.trial_id,
        user_results.split,
        user_results.user_id,
        user_results.hit_items,
        user_results.hit_ranks,
        user_results.precision,
        user_results.mrr,
        sweeps.dataset_id,
        cast(sweeps.protocol ->> 'k' as integer) as k,
        bool_or(user_results.hit_items is not null)
            over (partition by user_results.trial_id, user_results.split) as are_kept
    from user_results
    join checked_trials using (trial_id)
    join sweeps on sweeps.sweep_id = :sweep_id
    where user_results.sweep_id = :sweep_id and user_results.ndcg is not null
),

counted as (
    select
        judged.trial_id,
        judged.split,
        judged.user_id,
        judged.hit_items,
        judged.hit_ranks,
        judged.precision,
        judged.mrr,
        judged.k,
        found.n_hits,
        found.first_rank,
        found.n_good
    from judged
    cross join lateral (
        select
            count(*) as n_hits,
            min(hits.rank) as first_rank,
            count(*) filter (
                where hits.rank between coalesce(judged.hit_ranks[hits.number - 1], 0) + 1 and judged.k
                    and items.item_id is not null
            ) as n_good
        from unnest(judged.hit_items, judged.hit_ranks) with ordinality as hits (item_id, rank, number)
        left join items on items.dataset_id = judged.dataset_id and items.item_id = hits.item_id
    ) as found
    -- Trials of older versions have none.
    where judged.are_kept
)

select
    counted.trial_id,
    count(*) as n_rows,
    min(
        format(
            'user %s on %s: %s at ranks %s, precision %s, mrr %s',
            counted.user_id, counted.split, counted.hit_items, counted.hit_ranks, counted.precision, counted.mrr
        )
    ) as example
from counted
where counted.hit_items is null or counted.n_good <> counted.n_hits
    -- Users' rankings are kept in single precision.
    or abs(counted.precision * counted.k - counted.n_hits) > 1e-3
    or abs(counted.mrr - coalesce(1.0 / counted.first_rank, 0)) > 1e-6
group by counted.trial_id;
