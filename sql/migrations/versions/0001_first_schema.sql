-- The tables; shared/tables.py describes the same ones to SQLAlchemy (a test compares the two).

create table datasets (
    dataset_id integer generated always as identity,
    name text not null,
    fingerprint text not null,
    is_synthetic boolean not null,
    n_users integer not null,
    n_items integer not null,
    n_ratings bigint not null,
    rating_min double precision not null,
    rating_max double precision not null,
    prepared_at timestamptz default now() not null,
    constraint pk_datasets primary key (dataset_id),
    constraint uq_datasets_fingerprint unique (fingerprint),
    constraint ck_datasets_rating_scale check (rating_min <= rating_max),
    constraint ck_datasets_counts check (n_users >= 0 and n_items >= 0 and n_ratings >= 0)
);

comment on table datasets is 'Data sets, each version of the ratings once, told apart by fingerprint.';
comment on column datasets.dataset_id is 'key';
comment on column datasets.name is 'name in the registry, such as ml-1m';
comment on column datasets.fingerprint is '32 hex digits of the SHA-256 over every array of the data';
comment on column datasets.is_synthetic is 'true for generated ratings, which say nothing about real people';
comment on column datasets.n_users is 'users with at least one rating';
comment on column datasets.n_items is 'items of the catalogue, rated or not';
comment on column datasets.n_ratings is 'ratings, training and validation together';
comment on column datasets.rating_min is 'smallest rating observed: lower end of the scale';
comment on column datasets.rating_max is 'largest rating observed: upper end of the scale';
comment on column datasets.prepared_at is 'when it was first stored here';

create table items (
    dataset_id integer not null,
    item_id text collate "C" not null,
    item_index integer not null,
    title text not null,
    genres text[] not null,
    n_ratings integer not null,
    constraint pk_items primary key (dataset_id, item_id),
    constraint uq_items_dataset_id_item_index unique (dataset_id, item_index),
    constraint ck_items_item_index check (item_index >= 0),
    constraint ck_items_n_ratings check (n_ratings >= 0),
    constraint fk_items_dataset_id foreign key(dataset_id) references datasets (dataset_id) on delete cascade
);

comment on table items is 'The catalogue of each data set.';
comment on column items.dataset_id is 'the data set it belongs to';
comment on column items.item_id is 'id in the data, as text';
comment on column items.item_index is 'row from 0 in the order of ids: the order in which ties are broken';
comment on column items.title is 'title, empty where unknown';
comment on column items.genres is 'genres, empty for none';
comment on column items.n_ratings is 'ratings in the whole data set: how well supported a prediction is';

create table sweeps (
    sweep_id integer generated always as identity,
    name text not null,
    dataset_id integer not null,
    spec jsonb not null,
    spec_hash text not null,
    protocol jsonb not null,
    protocol_hash text not null,
    code_version text not null,
    created_at timestamptz default now() not null,
    constraint pk_sweeps primary key (sweep_id),
    constraint fk_sweeps_dataset_id foreign key(dataset_id) references datasets (dataset_id)
);

create index ix_sweeps_dataset_id on sweeps (dataset_id);

create index ix_sweeps_name_dataset_id_protocol_hash on sweeps (name, dataset_id, protocol_hash);

comment on table sweeps is 'Sweep files run over a data set.';
comment on column sweeps.sweep_id is 'key; the newest sweep of a name, data set and protocol is the current one';
comment on column sweeps.name is 'name of the sweep file';
comment on column sweeps.dataset_id is 'the data set of all its trials';
comment on column sweeps.spec is 'the sweep file as read';
comment on column sweeps.spec_hash is '16 hex digits of the SHA-256 of spec';
comment on column sweeps.protocol is 'what makes its trials comparable: split, k, candidates, thresholds';
comment on column sweeps.protocol_hash is '16 hex digits of the SHA-256 of protocol';
comment on column sweeps.code_version is 'version of recsweep that created it';
comment on column sweeps.created_at is 'when it was created';

create table trials (
    trial_id integer generated always as identity,
    sweep_id integer not null,
    label text not null,
    config jsonb not null,
    config_hash text not null,
    is_baseline boolean not null,
    merge text,
    embedding_size integer,
    dense_layers integer[],
    random_seed bigint,
    status text not null,
    attempt integer default '0' not null,
    max_attempts integer not null,
    attempts_allowed integer not null,
    lease_expires_at timestamptz,
    worker text,
    n_parameters bigint,
    best_epoch integer,
    val_loss double precision,
    val_rmse double precision,
    model_url text,
    log_url text,
    error_reason text,
    error_message text,
    queued_at timestamptz default now() not null,
    published_at timestamptz,
    cancel_requested_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    train_seconds double precision,
    peak_memory_bytes bigint,
    constraint pk_trials primary key (trial_id),
    constraint uq_trials_sweep_id_config_hash unique (sweep_id, config_hash),
    constraint uq_trials_sweep_id_label unique (sweep_id, label),
    constraint ck_trials_status check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    constraint ck_trials_attempts check (attempt >= 0 and max_attempts >= 1 and attempts_allowed >= 1),
    constraint ck_trials_running_has_lease check ((status = 'running') = (lease_expires_at is not null)),
    constraint ck_trials_succeeded_has_result check (status <> 'succeeded' or val_rmse is not null),
    constraint ck_trials_failed_has_reason check ((status = 'failed') = (error_reason is not null)),
    constraint ck_trials_baseline_or_architecture check (is_baseline = (num_nulls(merge, embedding_size, dense_layers, random_seed) = 4) and num_nulls(merge, embedding_size, dense_layers, random_seed) in (0, 4)),
    constraint fk_trials_sweep_id foreign key(sweep_id) references sweeps (sweep_id) on delete cascade
);

comment on table trials is 'One architecture with one training configuration and one random seed: one task of the queue.';
comment on column trials.trial_id is 'key';
comment on column trials.sweep_id is 'the sweep it belongs to';
comment on column trials.label is 'readable name, unique in the sweep, such as concatenate_50_64_32_1';
comment on column trials.config is 'the whole configuration in canonical form';
comment on column trials.config_hash is '16 hex digits of the SHA-256 of config';
comment on column trials.is_baseline is 'true for a baseline that architectures have to beat';
comment on column trials.merge is 'how the two embeddings combine; null for baselines';
comment on column trials.embedding_size is 'length of an embedding; null for baselines';
comment on column trials.dense_layers is 'sizes of the dense layers; null for baselines';
comment on column trials.random_seed is 'seed of initial weights and shuffles; null for baselines';
comment on column trials.status is 'queued, running, succeeded, failed or cancelled';
comment on column trials.attempt is 'latest attempt, 0 before the first';
comment on column trials.max_attempts is 'attempts that one queueing grants';
comment on column trials.attempts_allowed is 'the last attempt that may start before the trial fails';
comment on column trials.lease_expires_at is 'until when the running attempt holds the trial, by the clock of this server';
comment on column trials.worker is 'worker of the latest attempt';
comment on column trials.n_parameters is 'trainable weights of the model';
comment on column trials.best_epoch is 'epoch whose weights were kept, from 1; null for baselines';
comment on column trials.val_loss is 'Keras loss on the validation split at the best epoch; null for baselines';
comment on column trials.val_rmse is 'RMSE of the served prediction on the validation split';
comment on column trials.model_url is 'where the model file is; null for baselines';
comment on column trials.log_url is 'where the log of the trial is';
comment on column trials.error_reason is 'why it failed, in a word';
comment on column trials.error_message is 'why it failed, for a person';
comment on column trials.queued_at is 'when it was last queued';
comment on column trials.published_at is 'when its message was last sent to the broker; null: not since it was queued';
comment on column trials.cancel_requested_at is 'when a running trial was asked to stop';
comment on column trials.started_at is 'when the latest attempt started';
comment on column trials.finished_at is 'when it succeeded, failed or was cancelled';
comment on column trials.train_seconds is 'time of training, all epochs';
comment on column trials.peak_memory_bytes is 'largest resident memory of the task process';

create table attempts (
    trial_id integer not null,
    attempt integer not null,
    worker text not null,
    code_version text not null,
    started_at timestamptz default now() not null,
    ended_at timestamptz,
    end_reason text,
    error_message text,
    peak_memory_bytes bigint,
    constraint pk_attempts primary key (trial_id, attempt),
    constraint ck_attempts_attempt check (attempt >= 1),
    constraint ck_attempts_end_has_reason check ((ended_at is null) = (end_reason is null)),
    constraint fk_attempts_trial_id foreign key(trial_id) references trials (trial_id) on delete cascade
);

comment on table attempts is 'Every execution of a trial and how it ended.';
comment on column attempts.trial_id is 'the trial it belongs to';
comment on column attempts.attempt is 'counted from 1';
comment on column attempts.worker is 'who ran it';
comment on column attempts.code_version is 'version of recsweep that ran it';
comment on column attempts.started_at is 'when it was claimed';
comment on column attempts.ended_at is 'when its end was noticed; null while it runs';
comment on column attempts.end_reason is 'succeeded, released, cancelled, lost_worker or another reason of failure';
comment on column attempts.error_message is 'what went wrong, for a person';
comment on column attempts.peak_memory_bytes is 'largest resident memory of the task process, where known';

create table epochs (
    trial_id integer not null,
    epoch integer not null,
    attempt integer not null,
    loss double precision not null,
    val_loss double precision not null,
    val_rmse double precision not null,
    seconds double precision not null,
    recorded_at timestamptz default now() not null,
    constraint pk_epochs primary key (trial_id, epoch),
    constraint ck_epochs_epoch check (epoch >= 1),
    constraint fk_epochs_trial_id foreign key(trial_id) references trials (trial_id) on delete cascade
);

comment on table epochs is 'The history of each training, written as it goes and once more, whole, at its end.';
comment on column epochs.trial_id is 'the trial it belongs to';
comment on column epochs.epoch is 'counted from 1';
comment on column epochs.attempt is 'the attempt that computed it';
comment on column epochs.loss is 'Keras loss on the training ratings';
comment on column epochs.val_loss is 'Keras loss on the validation split';
comment on column epochs.val_rmse is 'RMSE of the served prediction on the validation split';
comment on column epochs.seconds is 'duration';
comment on column epochs.recorded_at is 'when it was stored';

create table metrics (
    trial_id integer not null,
    split text not null,
    name text not null,
    value double precision not null,
    constraint pk_metrics primary key (trial_id, split, name),
    constraint ck_metrics_split check (split in ('train', 'validation', 'test')),
    constraint fk_metrics_trial_id foreign key(trial_id) references trials (trial_id) on delete cascade
);

comment on table metrics is 'The measures of each succeeded trial.';
comment on column metrics.trial_id is 'the trial it belongs to';
comment on column metrics.split is 'train, validation or test';
comment on column metrics.name is 'rmse, mae, ndcg@20, …; formulas in worker/metrics.py';
comment on column metrics.value is 'value';

create table recommendations (
    sweep_id integer not null,
    trial_id integer not null,
    user_id text collate "C" not null,
    rank smallint not null,
    item_id text collate "C" not null,
    score real not null,
    constraint pk_recommendations primary key (trial_id, user_id, rank, sweep_id),
    constraint ck_recommendations_rank check (rank >= 1),
    constraint ck_recommendations_score_is_finite check (score > '-infinity' and score < 'infinity')
)
 partition by list (sweep_id);

comment on table recommendations is 'The top k of every user of every succeeded trial; one partition a sweep.';
comment on column recommendations.sweep_id is 'the sweep of the trial: partition key';
comment on column recommendations.trial_id is 'the trial that made it; checked by trigger against trials';
comment on column recommendations.user_id is 'id in the data, as text';
comment on column recommendations.rank is 'from 1, by score descending, then by item_index';
comment on column recommendations.item_id is 'an item the user has not rated';
comment on column recommendations.score is 'the model''s prediction, not clipped to the scale';

create table rating_predictions (
    sweep_id integer not null,
    trial_id integer not null,
    user_id text collate "C" not null,
    rank smallint not null,
    item_id text collate "C" not null,
    rating real not null,
    prediction real not null,
    constraint pk_rating_predictions primary key (trial_id, user_id, rank, sweep_id),
    constraint ck_rating_predictions_rank check (rank >= 1),
    constraint ck_rating_predictions_prediction_is_finite check (prediction > '-infinity' and prediction < 'infinity')
)
 partition by list (sweep_id);

comment on table rating_predictions is 'The k top-rated items of every user with rating and prediction; one partition a sweep.';
comment on column rating_predictions.sweep_id is 'the sweep of the trial: partition key';
comment on column rating_predictions.trial_id is 'the trial that predicted; checked by trigger against trials';
comment on column rating_predictions.user_id is 'id in the data, as text';
comment on column rating_predictions.rank is 'from 1, by rating descending, then by item_index';
comment on column rating_predictions.item_id is 'an item the user has rated';
comment on column rating_predictions.rating is 'the user''s rating';
comment on column rating_predictions.prediction is 'the model''s prediction, not clipped to the scale';

create table promotions (
    promotion_id integer generated always as identity,
    dataset_id integer not null,
    trial_id integer,
    fallback_id integer,
    promoted_at timestamptz default now() not null,
    note text not null,
    constraint pk_promotions primary key (promotion_id),
    constraint fk_promotions_dataset_id foreign key(dataset_id) references datasets (dataset_id),
    constraint fk_promotions_trial_id foreign key(trial_id) references trials (trial_id) on delete set null,
    constraint fk_promotions_fallback_id foreign key(fallback_id) references promotions (promotion_id)
);

create index ix_promotions_dataset_id on promotions (dataset_id);

comment on table promotions is 'Which trial is served for each data set: history of promotions and rollbacks, one row each.';
comment on column promotions.promotion_id is 'key; the newest row of a data set is the one in force';
comment on column promotions.dataset_id is 'the data set it serves';
comment on column promotions.trial_id is 'the trial that best_recommendations serves; null: the best of the latest sweep';
comment on column promotions.fallback_id is 'the promotion that a rollback of this one returns to; null: none before it';
comment on column promotions.promoted_at is 'when it took force';
comment on column promotions.note is 'why, in the words of who did it, with the name of the trial';

create table installed_views (
    fingerprint text not null,
    installed_at timestamptz default now() not null
);

comment on table installed_views is 'One row: which version of sql/views the views of this database were made from.';
comment on column installed_views.fingerprint is '32 hex digits of the SHA-256 over the files of sql/views';
comment on column installed_views.installed_at is 'when the views were made';
