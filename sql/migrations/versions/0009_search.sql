-- Sweeps that grow: who asked for a trial, what a search proposed, and trials that were stopped.

alter table sweeps add column growing_since timestamptz;
comment on column sweeps.growing_since is
'since when the scheduler may add trials by itself, for a search, repeats or blends; null: it adds none';
comment on column sweeps.spec is
'the sweep file as it was last read, with what the command line set; what a growing sweep grows by';

alter table trials add column asked_by text default 'file' not null;
alter table trials add constraint ck_trials_asked_by check (asked_by in ('file', 'search', 'repeats', 'blends'));
comment on column trials.asked_by is
'what asked for it: the sweep file by its grids, or its search, repeats or blends';

-- Few have any: asked whenever trials are ranked.
create index ix_trials_repeats on trials (sweep_id) where asked_by = 'repeats';

create table proposals (
    sweep_id integer not null,
    number integer not null,
    branch integer not null,
    parameters jsonb not null,
    trial_id integer not null,
    proposed_at timestamptz default now() not null,
    constraint pk_proposals primary key (sweep_id, number),
    constraint ck_proposals_number check (number >= 1 and branch >= 0),
    constraint fk_proposals_sweep_id foreign key (sweep_id) references sweeps (sweep_id) on delete cascade,
    constraint fk_proposals_trial_id foreign key (trial_id) references trials (trial_id) on delete cascade
);
create index ix_proposals_trial_id on proposals (trial_id);

comment on table proposals is 'What the search of a sweep proposed, in order; several may be the same trial.';
comment on column proposals.sweep_id is 'the sweep that searches';
comment on column proposals.number is 'from 1, in the order in which they were made';
comment on column proposals.branch is 'from 0: which table of the sweep file it is from';
comment on column proposals.parameters is 'the chosen value of each axis that the search varies';
comment on column proposals.trial_id is 'the trial that answers it, or answered it already';
comment on column proposals.proposed_at is 'when';

-- Trials that were stopped.
alter table trials drop constraint ck_trials_status;
alter table trials add constraint ck_trials_status
check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'stopped'));
alter table trials add column stopped_epoch integer;
alter table trials add column stopped_value double precision;
alter table trials add column stopped_against double precision;
alter table trials add column stopped_by jsonb;
alter table trials add constraint ck_trials_stopped_has_reason
check ((status = 'stopped') = (num_nulls(stopped_epoch, stopped_value, stopped_against, stopped_by) = 0));
comment on column trials.status is 'queued, running, succeeded, failed, cancelled, or stopped: ended early because it cannot win';
comment on column trials.stopped_epoch is 'of a stopped trial: the epoch by which it was judged, the rung';
comment on column trials.stopped_value is 'of a stopped trial: the best value of the objective that it had reached by then';
comment on column trials.stopped_against is 'of a stopped trial: the value that it would have had to reach';
comment on column trials.stopped_by is 'of a stopped trial: the [stopping] of its sweep file then';
comment on column trials.finished_at is 'when it succeeded, failed, was cancelled or was stopped';
comment on column attempts.end_reason is
'succeeded, stopped, handed_back, cancelled, lost_worker or another reason of failure';
comment on column sweeps.ended_at is
'when its trials had first all succeeded, failed or were stopped; null before, and a cancelled trial keeps it so';

-- Blends.
create table blend_parts (
    trial_id integer not null,
    number integer not null,
    part_trial_id integer not null,
    weight double precision,
    constraint pk_blend_parts primary key (trial_id, number),
    constraint ck_blend_parts_number check (number >= 1),
    constraint ck_blend_parts_weight check (weight >= 0),
    constraint fk_blend_parts_trial_id foreign key (trial_id) references trials (trial_id) on delete cascade,
    constraint fk_blend_parts_part_trial_id
    foreign key (part_trial_id) references trials (trial_id) on delete cascade
);
create index ix_blend_parts_part_trial_id on blend_parts (part_trial_id);

comment on table blend_parts is 'Of which trials a blend is the weighted sum.';
comment on column blend_parts.trial_id is 'the blend';
comment on column blend_parts.number is 'from 1, in the order of the families'' names';
comment on column blend_parts.part_trial_id is 'the part, a trial of the same sweep; of a refit, the refit of the part';
comment on column blend_parts.weight is 'of the part''s standardised scores, all of a blend add up to 1; null until the blend has succeeded';
