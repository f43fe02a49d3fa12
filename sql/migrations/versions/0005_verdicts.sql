-- What each user adds to the metrics of a trial, and which trials of a sweep are better than which.

create table user_results (
    sweep_id integer not null,
    trial_id integer not null,
    split text not null,
    user_id text collate "C" not null,
    n_train_ratings integer not null,
    n_ratings integer not null,
    squared_error double precision,
    absolute_error double precision,
    ndcg real,
    recall real,
    precision real,
    map real,
    hit_rate real,
    mrr real,
    constraint pk_user_results primary key (trial_id, split, user_id, sweep_id),
    constraint ck_user_results_split check (split in ('validation', 'test')),
    constraint ck_user_results_n_ratings check (n_ratings >= 1 and n_train_ratings >= 0),
    constraint ck_user_results_errors check ((squared_error is null) = (absolute_error is null)),
    constraint ck_user_results_errors_are_finite check (squared_error < 'infinity' and absolute_error < 'infinity'),
    constraint ck_user_results_rankings check (num_nulls(ndcg, recall, precision, map, hit_rate, mrr) in (0, 6))
)
partition by list (sweep_id);

comment on table user_results is
'What each user with held out ratings adds to the metrics of each succeeded trial; one partition a sweep. Trials of older versions have none.';
comment on column user_results.sweep_id is 'the sweep of the trial: partition key';
comment on column user_results.trial_id is 'the trial that is judged; checked by trigger against trials';
comment on column user_results.split is 'the part of the split that judges: validation or test';
comment on column user_results.user_id is 'id in the data, as text';
comment on column user_results.n_train_ratings is 'ratings of the user in the training part: what the model knows';
comment on column user_results.n_ratings is 'held out ratings of the user in this part';
comment on column user_results.squared_error is
'sum of (rating - prediction)² over them; null where no rating is predicted. rmse = sqrt(sum(squared_error) / sum(n_ratings))';
comment on column user_results.absolute_error is
'sum of |rating - prediction| over them; null where no rating is predicted. mae = sum(absolute_error) / sum(n_ratings)';
comment on column user_results.ndcg is
'ndcg of the user''s list at the protocol''s k; this and those that follow are null for users without a relevant item, and the metric of a trial is their mean';
comment on column user_results.recall is 'relevant items in the list / relevant items';
comment on column user_results.precision is 'relevant items in the list / k';
comment on column user_results.map is 'average precision of the list; its mean is the metric map';
comment on column user_results.hit_rate is '1 where a relevant item is in the list, else 0';
comment on column user_results.mrr is 'reciprocal rank of the first relevant item; its mean is the metric mrr';

do $$
declare
    stored integer;
begin
    for stored in select sweep_id from sweeps order by sweep_id loop
        execute format('create table %I partition of user_results for values in (%s)', 'user_results_sweep_' || stored, stored);
    end loop;
end
$$;

create trigger check_trials_on_insert after insert on user_results
referencing new table as written_rows for each statement execute function check_written_trials();
create trigger check_trials_on_update after update on user_results
referencing new table as written_rows for each statement execute function check_written_trials();

create or replace function check_deleted_trials() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    if exists (select from deleted_rows join recommendations using (sweep_id, trial_id))
    or exists (select from deleted_rows join rating_predictions using (sweep_id, trial_id))
    or exists (select from deleted_rows join user_results using (sweep_id, trial_id)) then
        raise foreign_key_violation using
            message = 'a trial that has recommendations cannot be deleted: prune its sweep';
    end if;
    return null;
end
$$;

create table verdicts (
    sweep_id integer not null,
    trial_id integer not null,
    leader_trial_id integer not null,
    objective text not null,
    split text not null,
    difference double precision,
    lower double precision,
    upper double precision,
    p_value double precision,
    verdict text,
    reason text,
    n_users integer not null,
    n_seeds integer not null,
    computed_at timestamptz default now() not null,
    constraint pk_verdicts primary key (trial_id),
    constraint ck_verdicts_split check (split in ('validation', 'test')),
    constraint ck_verdicts_verdict check (verdict in ('winner', 'tie', 'worse')),
    constraint ck_verdicts_verdict_or_reason check ((verdict is null) = (reason is not null)),
    constraint ck_verdicts_interval check (num_nulls(difference, lower, upper, p_value) in (0, 4)),
    constraint ck_verdicts_order check (lower <= difference and difference <= upper),
    constraint ck_verdicts_p_value check (p_value between 0 and 1),
    constraint ck_verdicts_n_seeds check (n_seeds >= 1),
    constraint fk_verdicts_sweep_id foreign key (sweep_id) references sweeps (sweep_id) on delete cascade,
    constraint fk_verdicts_trial_id foreign key (trial_id) references trials (trial_id) on delete cascade,
    constraint fk_verdicts_leader_trial_id foreign key (leader_trial_id) references trials (trial_id)
    on delete cascade
);

create index ix_verdicts_sweep_id on verdicts (sweep_id);
create index ix_verdicts_leader_trial_id on verdicts (leader_trial_id);

comment on table verdicts is
'How each succeeded trial of a sweep compares with its leader, by a paired bootstrap over users; written when the sweep has ended.';
comment on column verdicts.sweep_id is 'the sweep of both trials';
comment on column verdicts.trial_id is 'key: the trial that is judged';
comment on column verdicts.leader_trial_id is 'the first trial by the objective on validation, which it is compared with';
comment on column verdicts.objective is 'the metric that is compared: rmse, ndcg@20, …';
comment on column verdicts.split is
'the part whose users judge: test, which chose nothing; validation where the protocol has no test part: it also chose the leader, which may look better than it is';
comment on column verdicts.difference is
'objective of the trial minus that of the leader, means over random seeds where a configuration has several; null for the leader''s own configuration, and where there is no verdict';
comment on column verdicts.lower is
'lower end of the interval of the difference: 95 % for all intervals of the sweep together (Holm on test; for every pair of trials, Bonferroni, on validation), so that it contains 0 if and only if the verdict is tie';
comment on column verdicts.upper is 'upper end of the interval of the difference';
comment on column verdicts.p_value is 'of no difference, two-sided, adjusted for all comparisons of the sweep (Holm on test; for every pair of trials, Bonferroni, on validation)';
comment on column verdicts.verdict is
'worse than the leader; tie: no difference is proven; winner: better than the leader, and of the leader itself: better than all others';
comment on column verdicts.reason is 'why there is no verdict; null where there is one';
comment on column verdicts.n_users is 'users who judge';
comment on column verdicts.n_seeds is 'trials of this sweep that differ from this one by the random seed alone, and itself';
comment on column verdicts.computed_at is 'when it was computed';

alter table sweeps add column judged_at timestamptz;
comment on column sweeps.judged_at is
'when verdicts were computed from all its results; null: not yet, or a trial was added or queued again since';
