-- From where a version of the ratings was read, which sweeps are refreshes, and who was forgotten.

alter table datasets add column source text;
alter table datasets add column source_read_at timestamptz;
alter table datasets add column previous_id integer;
alter table datasets add constraint ck_datasets_source_was_read check ((source is null) = (source_read_at is null));
alter table datasets add constraint ck_datasets_previous_is_another check (previous_id < dataset_id);
alter table datasets add constraint fk_datasets_previous_id
foreign key (previous_id) references datasets (dataset_id);
create index ix_datasets_previous_id on datasets (previous_id);

comment on column datasets.name is 'what it is called: the name of a known set, or the one that was given; its versions share it';
comment on column datasets.source is
'what DATASET= has to be to read it again: the name of a known set, or the path of a file; null where version 0.1 stored it and nothing has read it since';
comment on column datasets.source_read_at is 'when the source last gave exactly these ratings';
comment on column datasets.previous_id is
'the version of the same name that was stored before; null for the first one, and for those of version 0.1';

alter table sweeps add column is_refresh boolean default false not null;
comment on column sweeps.is_refresh is
'whether `make refresh` made it: one trial, the rehearsal, and its refit; never the latest sweep, and its leader is never served by itself';

alter table trials add column refreshed_from integer;
alter table trials add constraint fk_trials_refreshed_from
foreign key (refreshed_from) references trials (trial_id) on delete set null;
alter table trials add constraint ck_trials_refreshed_from_another check (refreshed_from <> trial_id);
create index ix_trials_refreshed_from on trials (refreshed_from) where refreshed_from is not null;
comment on column trials.refreshed_from is
'of the rehearsal of a refresh the trial that was served then, whose configuration and number of epochs it has; null for all others, and when that trial was pruned';

create table forgotten_users (
    dataset_id integer not null,
    user_hash text not null,
    forgotten_at timestamptz default now() not null,
    constraint pk_forgotten_users primary key (dataset_id, user_hash),
    constraint ck_forgotten_users_user_hash check (user_hash ~ '^[0-9a-f]{64}$'),
    constraint fk_forgotten_users_dataset_id foreign key (dataset_id) references datasets (dataset_id) on delete cascade
);

comment on table forgotten_users is
'Users whose ratings and lists `make forget` removed, once for each version that had them; no id is kept.';
comment on column forgotten_users.dataset_id is 'the version of the ratings that the user was removed from';
comment on column forgotten_users.user_hash is
'64 hex digits of the SHA-256 over the salt of this database and the id: a read of the source leaves out whoever has it';
comment on column forgotten_users.forgotten_at is 'when';

alter table installation add column user_salt uuid default gen_random_uuid() not null;
comment on column installation.user_salt is 'made at random: hashes of forgotten users mean nothing without it';
