-- trial: what is this trial, how did it end, and how does it compare with the leader of its sweep?
select
    trials.trial_id,
    trials.sweep_id,
    sweeps.name as sweep_name,
    datasets.dataset_id,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    datasets.n_items,
    datasets.n_users,
    trials.label,
    trials.family,
    trials.config,
    trials.status,
    trials.is_baseline,
    trials.asked_by,
    trials.attempt,
    trials.n_parameters,
    trials.best_epoch,
    trials.model_url,
    trials.log_url,
    trials.error_reason,
    trials.error_message,
    trials.queued_at,
    trials.started_at,
    trials.finished_at,
    trials.train_seconds,
    trials.peak_memory_bytes,
    trials.stopped_epoch,
    trials.stopped_value,
    trials.stopped_against,
    trials.refit_of,
    chosen.label as chosen_label,
    chosen.refreshed_from,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    cast(sweeps.protocol ->> 'k' as integer) as k,
    ranked.place,
    ranked.n_ranked,
    ranked.validation_value,
    ranked.test_value,
    leader.trial_id as leader_trial_id,
    leader.label as leader_label,
    verdicts.verdict,
    verdicts.difference,
    verdicts.lower,
    verdicts.upper,
    verdicts.reason as no_verdict_because,
    verdicts.split as judged_by,
    trials.status = 'succeeded' and trials.lists_removed_at is null as has_lists,
    exists (
        select from serving_trials
        where serving_trials.dataset_name = datasets.name
            and trials.trial_id in (serving_trials.trial_id, serving_trials.chosen_trial_id)
    ) as is_served
from trials
join sweeps using (sweep_id)
join datasets using (dataset_id)
join trials as chosen on chosen.trial_id = coalesce(trials.refit_of, trials.trial_id)
left join verdicts on verdicts.trial_id = trials.trial_id
left join lateral (
    select placed.place, placed.validation_value, placed.test_value, placed.n_ranked
    from (
        select ranked_trials.*, count(*) over () as n_ranked
        from ranked_trials
        where ranked_trials.sweep_id = trials.sweep_id
    ) as placed
    where placed.trial_id = trials.trial_id
) as ranked on true
left join lateral (
    select ranked_trials.trial_id, leaders.label
    from ranked_trials
    join trials as leaders using (trial_id)
    where ranked_trials.sweep_id = trials.sweep_id
    order by ranked_trials.place
    limit 1
) as leader on true
where trials.trial_id = cast(:trial_id as integer);

-- metrics: what did it measure on each part of the split?
select metrics.split, metrics.name, metrics.value
from metrics
where metrics.trial_id = cast(:trial_id as integer)
order by metrics.name, metrics.split;

-- epochs: how did it learn?
select epochs.epoch, epochs.attempt, epochs.loss, epochs.val_loss, epochs.val_rmse, epochs.objective, epochs.seconds
from epochs
where epochs.trial_id = cast(:trial_id as integer)
order by epochs.epoch;

-- attempts: who ran it, and how did each attempt end?
select
    attempts.attempt,
    attempts.worker,
    attempts.code_version,
    attempts.started_at,
    attempts.ended_at,
    attempts.end_reason,
    attempts.error_message,
    attempts.peak_memory_bytes
from attempts
where attempts.trial_id = cast(:trial_id as integer)
order by attempts.attempt;

-- relatives: which trials came from it, or differ from it by the random seed alone?
with this as (
    select
        trials.trial_id,
        trials.sweep_id,
        trials.config #- '{training,random_seed}' #- '{architecture,random_seed}' as config_of_any_seed
    from trials
    where trials.trial_id = cast(:trial_id as integer)
)

select
    case
        when trials.refit_of = this.trial_id then 'refit'
        when trials.refreshed_from = this.trial_id then 'refresh'
        else 'repeat'
    end as kind,
    trials.trial_id,
    trials.sweep_id,
    trials.label,
    trials.status,
    trials.random_seed
from this
join trials
    on trials.refit_of = this.trial_id
    or trials.refreshed_from = this.trial_id
    or (
        trials.sweep_id = this.sweep_id
        and trials.trial_id <> this.trial_id
        and trials.refit_of is null
        and trials.config #- '{training,random_seed}' #- '{architecture,random_seed}' = this.config_of_any_seed
    )
order by kind desc, trials.trial_id
limit 50;

-- proposals: did the search of its sweep propose it?
select proposals.number, proposals.branch, proposals.parameters, proposals.proposed_at
from proposals
where proposals.trial_id = cast(:trial_id as integer)
order by proposals.number;

-- promotions: when was it, or its refit, promoted?
select promotions.promoted_at, promotions.note
from promotions
join trials using (trial_id)
where coalesce(trials.refit_of, trials.trial_id) = cast(:trial_id as integer)
    or trials.trial_id = cast(:trial_id as integer)
order by promotions.promotion_id desc;

-- spread: over which items are its lists spread, by tenths of the catalogue, and which are in most of them?
with looked as (
    -- Of more users the first, so that no view reads millions of rows.
    select recommendations.user_id, recommendations.rank, recommendations.item_id
    from recommendations
    where recommendations.sweep_id = (
            select trials.sweep_id from trials where trials.trial_id = cast(:trial_id as integer)
        )
        and recommendations.trial_id = cast(:trial_id as integer)
    order by recommendations.user_id, recommendations.rank
    limit 125000
),

listed as (
    select
        looked.item_id,
        count(*) as n_lists,
        count(*) filter (where looked.rank = 1) as n_first
    from looked
    group by looked.item_id
),

-- Items with as many ratings are together: sorting a whole catalogue would take longer than the rest.
by_ratings as (
    select
        items.n_ratings,
        count(*) as n_items,
        count(listed.n_lists) as n_listed,
        sum(listed.n_lists) as n_lists,
        sum(listed.n_first) as n_first
    from items
    left join listed using (item_id)
    where items.dataset_id = (
        select sweeps.dataset_id
        from sweeps
        join trials using (sweep_id)
        where trials.trial_id = cast(:trial_id as integer)
    )
    group by items.n_ratings
),

-- The first tenth is that of the most rated items.
placed as (
    select
        by_ratings.*,
        cast(floor(
            10 * (sum(by_ratings.n_items) over (order by by_ratings.n_ratings desc) - by_ratings.n_items)
            / sum(by_ratings.n_items) over ()
        ) as integer) + 1 as tenth
    from by_ratings
),

most_listed as (
    select listed.item_id, listed.n_lists, listed.n_first
    from listed
    order by listed.n_lists desc, listed.item_id
    limit 10
)

select
    placed.tenth,
    null as item_id,
    null as title,
    cast(sum(placed.n_items) as bigint) as n_items,
    cast(sum(placed.n_listed) as bigint) as n_listed,
    cast(coalesce(sum(placed.n_lists), 0) as bigint) as n_lists,
    cast(coalesce(sum(placed.n_first), 0) as bigint) as n_users,
    cast(null as integer) as n_ratings
from placed
group by placed.tenth
union all
select
    cast(null as integer),
    items.item_id,
    items.title,
    1,
    1,
    most_listed.n_lists,
    most_listed.n_first,
    items.n_ratings
from most_listed
join items on items.item_id = most_listed.item_id
    and items.dataset_id = (
        select sweeps.dataset_id
        from sweeps
        join trials using (sweep_id)
        where trials.trial_id = cast(:trial_id as integer)
    )
order by n_lists desc, item_id, tenth;

-- against: with which trial of its sweep is it compared: the leader, or of the leader the best that differs by more than its random seed?
with shown as (
    select trials.sweep_id, trials.config #- '{training,random_seed}' #- '{architecture,random_seed}' as configuration
    from trials
    where trials.trial_id = cast(:trial_id as integer) and trials.status = 'succeeded' and trials.refit_of is null
)

select ranked_trials.trial_id, trials.label
from shown
join ranked_trials using (sweep_id)
join trials on trials.trial_id = ranked_trials.trial_id
where trials.config #- '{training,random_seed}' #- '{architecture,random_seed}' <> shown.configuration
order by ranked_trials.place
limit 1;

-- for_whom: where does it win and lose against that trial, by how many training ratings users have?
with judging as (
    select trials.sweep_id, trials.trial_id, parts.split
    from trials
    cross join lateral (
        select user_results.split
        from user_results
        where user_results.sweep_id = trials.sweep_id and user_results.trial_id = trials.trial_id
        order by user_results.split
        limit 1
    ) as parts
    where trials.trial_id = cast(:trial_id as integer)
),

ours as (
    select user_results.*
    from user_results
    where user_results.sweep_id = (select judging.sweep_id from judging)
        and user_results.trial_id = cast(:trial_id as integer)
        and user_results.split = (select judging.split from judging)
    order by user_results.user_id
    limit 10000
),

theirs as (
    select user_results.*
    from user_results
    where user_results.sweep_id = (select judging.sweep_id from judging)
        and user_results.trial_id = (
            select ranked_trials.trial_id
            from ranked_trials
            where ranked_trials.sweep_id = (select judging.sweep_id from judging)
                and ranked_trials.trial_id <> cast(:trial_id as integer)
            order by ranked_trials.place
            limit 1
        )
        and user_results.split = (select judging.split from judging)
    order by user_results.user_id
    limit 10000
),

paired as (
    select
        ours.n_train_ratings,
        ours.n_ratings,
        ours.squared_error,
        theirs.squared_error as other_squared_error,
        ours.ndcg,
        theirs.ndcg as other_ndcg,
        ntile(3) over (order by ours.n_train_ratings) as third
    from ours
    join theirs using (user_id)
),

-- Users with as many ratings are together.
grouped as (
    select
        paired.*,
        min(paired.third) over (partition by paired.n_train_ratings) as place
    from paired
)

select
    grouped.place,
    (select judging.split from judging) as split,
    min(grouped.n_train_ratings) as least,
    max(grouped.n_train_ratings) as most,
    count(*) as n_users,
    count(grouped.ndcg) as n_ranked,
    sqrt(sum(grouped.squared_error) / sum(grouped.n_ratings)) as rmse,
    sqrt(sum(grouped.other_squared_error) / sum(grouped.n_ratings)) as other_rmse,
    avg(grouped.ndcg) as ndcg,
    avg(grouped.other_ndcg) as other_ndcg,
    count(*) filter (where grouped.ndcg > grouped.other_ndcg) as n_higher_ndcg,
    count(*) filter (where grouped.ndcg < grouped.other_ndcg) as n_lower_ndcg,
    count(*) filter (where grouped.squared_error < grouped.other_squared_error) as n_smaller_error,
    count(*) filter (where grouped.squared_error > grouped.other_squared_error) as n_larger_error
from grouped
group by grouped.place
order by grouped.place;
