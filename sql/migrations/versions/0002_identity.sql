-- What a database is called, which version of a configuration is the same, and when a sweep has ended.

create table installation (
    database_id uuid default gen_random_uuid() not null,
    created_at timestamptz default now() not null,
    constraint pk_installation primary key (database_id)
);

comment on table installation is 'One row: the identity of this database. Its artifacts lie in a folder of this name.';
comment on column installation.database_id is 'made at random with the schema';
comment on column installation.created_at is 'when the database got its identity';

create unique index uq_installation_one_row on installation ((true));

insert into installation default values;

alter table sweeps add column ended_at timestamptz;
comment on column sweeps.ended_at is
'when its trials had first all succeeded or failed; null before, and a cancelled trial keeps it so';

update sweeps set ended_at = (select max(trials.finished_at) from trials where trials.sweep_id = sweeps.sweep_id)
where exists (select from trials where trials.sweep_id = sweeps.sweep_id)
and not exists (
    select from trials where trials.sweep_id = sweeps.sweep_id and trials.status not in ('succeeded', 'failed')
);

alter table trials add column family text;

-- The whole configuration names its family; a baseline is a family without settings.
update trials set
    family = coalesce(config ->> 'baseline', 'tower'),
    config = (config - 'baseline') || jsonb_build_object('family', coalesce(config ->> 'baseline', 'tower'));

alter table trials alter column family set not null;
comment on column trials.family is 'the kind of model: tower, or the name of a baseline';

-- Whether a message was sent is known by the broker alone.
alter table trials drop column published_at;

comment on column trials.config_hash is
'16 hex digits: equal for configurations that are the same function, trained the same way';
comment on column sweeps.protocol_hash is '16 hex digits: equal for protocols that are the same';
comment on column attempts.end_reason is
'succeeded, handed_back, cancelled, lost_worker or another reason of failure';
comment on column metrics.name is 'rmse, mae, ndcg@20, …; formulas in worker/metrics';
comment on column promotions.promotion_id is 'key; the newest row of a data set''s name is the one in force';
comment on column promotions.dataset_id is 'the version of the data set that the trial was trained on';
comment on column promotions.trial_id is
'the trial that best_recommendations serves; null: the leader of the newest sweep that has ended';
