-- The trials of every sweep, best first, with what they measured and whether they beat the baselines.
create view leaderboard as
with measured as (
    select
        metrics.trial_id,
        max(metrics.value) filter (where metrics.name = 'mae') as mae,
        max(metrics.value) filter (where metrics.name like 'ndcg@%') as ndcg,
        max(metrics.value) filter (where metrics.name like 'recall@%') as recall,
        max(metrics.value) filter (where metrics.name like 'precision@%') as precision,
        max(metrics.value) filter (where metrics.name like 'map@%') as map,
        max(metrics.value) filter (where metrics.name like 'hit_rate@%') as hit_rate,
        max(metrics.value) filter (where metrics.name like 'mrr@%') as mrr,
        max(metrics.value) filter (where metrics.name like 'coverage@%') as coverage,
        max(metrics.value) filter (where metrics.name like 'popularity@%') as popularity,
        max(metrics.value) filter (where metrics.name like 'novelty@%') as novelty
    from metrics
    where metrics.split = 'validation'
    group by metrics.trial_id
),

baselines as (
    select trials.sweep_id, trials.label, trials.val_rmse, measured.ndcg
    from trials
    left join measured using (trial_id)
    where trials.is_baseline and trials.status = 'succeeded' and trials.refit_of is null
),

compared as (
    select
        trials.trial_id,
        string_agg(baselines.label, ' and ' order by baselines.label)
            filter (where trials.val_rmse >= baselines.val_rmse) as not_beaten_on_rmse,
        string_agg(baselines.label, ' and ' order by baselines.label)
            filter (where measured.ndcg <= baselines.ndcg) as not_beaten_on_ndcg
    from trials
    join baselines using (sweep_id)
    left join measured using (trial_id)
    where trials.status = 'succeeded' and not trials.is_baseline
    group by trials.trial_id
)

select
    trials.sweep_id,
    sweeps.name as sweep_name,
    datasets.name as dataset_name,
    datasets.is_synthetic,
    row_number() over (
        partition by trials.sweep_id
        order by
            ranked_trials.place nulls last,
            -- Of those without a result, stopped ones first: who came furthest, then who was best.
            trials.stopped_epoch desc nulls last,
            case when coalesce(sweeps.protocol ->> 'objective', 'rmse') in ('rmse', 'mae') then 1 else -1 end
            * trials.stopped_value,
            trials.label
    ) as rank,
    trials.trial_id,
    trials.label,
    trials.status,
    trials.is_baseline,
    trials.family,
    coalesce(sweeps.protocol ->> 'objective', 'rmse') as objective,
    ranked_trials.validation_value,
    ranked_trials.test_value,
    ranked_trials.mean_value,
    ranked_trials.spread,
    cast(ranked_trials.n_seeds as integer) as n_seeds,
    trials.merge,
    trials.embedding_size,
    trials.dense_layers,
    trials.n_parameters,
    trials.best_epoch,
    trials.val_loss,
    trials.val_rmse as rmse,
    measured.mae,
    cast(sweeps.protocol ->> 'k' as integer) as k,
    measured.ndcg,
    measured.recall,
    measured.precision,
    measured.map,
    measured.hit_rate,
    measured.mrr,
    measured.coverage,
    measured.popularity,
    measured.novelty,
    case
        when compared.trial_id is null or trials.val_rmse is null then null
        when compared.not_beaten_on_rmse is null then 'beats every baseline'
        else 'does not beat ' || compared.not_beaten_on_rmse
    end as rmse_against_baselines,
    case
        when compared.trial_id is null or measured.ndcg is null then null
        when compared.not_beaten_on_ndcg is null then 'beats every baseline'
        else 'does not beat ' || compared.not_beaten_on_ndcg
    end as ndcg_against_baselines,
    trials.train_seconds,
    trials.peak_memory_bytes,
    trials.attempt,
    trials.model_url,
    trials.log_url,
    trials.error_reason,
    trials.status = 'succeeded' and trials.lists_removed_at is null as has_lists,
    trials.stopped_epoch,
    trials.stopped_value,
    trials.stopped_against
from trials
join sweeps using (sweep_id)
join datasets using (dataset_id)
left join measured using (trial_id)
left join compared using (trial_id)
left join ranked_trials on ranked_trials.trial_id = trials.trial_id
where trials.refit_of is null;

comment on view leaderboard is
'The trials of each sweep ranked by its objective on the validation split, best first, then by label; where it has repeats, by the means of configurations; trials without a result are last, those that were stopped before the others; refits are left out.';
comment on column leaderboard.rank is 'from 1 within the sweep';
comment on column leaderboard.mean_value is
'of the objective on validation, over the random seeds of the configuration, where the sweep has repeats; else the value of the trial';
comment on column leaderboard.spread is 'standard deviation of the objective over these seeds; null for one';
comment on column leaderboard.n_seeds is 'over how many random seeds; 1 where the sweep has no repeats, null without a result';
comment on column leaderboard.k is 'length of the lists that the ranking metrics judge: ndcg is ndcg@k';
comment on column leaderboard.rmse_against_baselines is
'in words, whether the RMSE is below that of every baseline; null for baselines and where there is none yet';
comment on column leaderboard.ndcg_against_baselines is
'in words, whether ndcg@k is above that of every baseline; null for baselines and where there is none yet';
comment on column leaderboard.has_lists is 'false also where the lists were removed, because those of better trials are kept';
comment on column leaderboard.stopped_epoch is 'of a trial that was stopped because it cannot win: the epoch by which it was judged';
comment on column leaderboard.stopped_value is 'the best value of the objective that it had reached by then';
comment on column leaderboard.stopped_against is 'the value that it would have had to reach';
