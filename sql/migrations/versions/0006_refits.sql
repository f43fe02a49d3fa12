-- A refit is a trial in the sweep of its chosen trial, which it names. Promotions made before stay in force.

alter table trials add column refit_of integer;
alter table trials add constraint fk_trials_refit_of
foreign key (refit_of) references trials (trial_id) on delete cascade;
alter table trials add constraint ck_trials_refit_of_another check (refit_of <> trial_id);

-- A refit has the configuration of its chosen trial.
alter table trials drop constraint uq_trials_sweep_id_config_hash;
create unique index uq_trials_sweep_id_config_hash on trials (sweep_id, config_hash) where refit_of is null;
create unique index uq_trials_refit_of on trials (refit_of) where refit_of is not null;

comment on table trials is
'One architecture with its training and random seed, or its refit: one task of the queue.';
comment on column trials.refit_of is
'the chosen trial of which this is the refit, trained on all ratings; null for the trials of the sweep';
comment on column trials.val_rmse is
'RMSE of the predicted ratings on validation; null where none are predicted, and for a refit';
comment on column trials.val_loss is
'loss on the validation split at the best epoch; null for families without epochs, and for a refit';
comment on column trials.best_epoch is
'epoch whose weights were kept, from 1; a refit keeps its last, the best of its chosen trial; null for families without epochs';
comment on table metrics is 'The measures of each succeeded trial; a refit, which holds no rating out, has none.';
