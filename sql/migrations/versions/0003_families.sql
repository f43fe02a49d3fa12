-- Models of any family: some predict no ratings, some have no epochs; a sweep selects by its own objective.

alter table trials drop constraint ck_trials_baseline_or_architecture;
alter table trials drop constraint ck_trials_succeeded_has_result;
alter table trials add constraint ck_trials_succeeded_has_result
check (status <> 'succeeded' or n_parameters is not null);

comment on table trials is 'One architecture with its training and random seed: one task of the queue.';
comment on column trials.family is 'the kind of model: tower, ease, …; baselines are families too';
comment on column trials.merge is 'how the two embeddings of a tower combine; null for other families';
comment on column trials.embedding_size is 'length of an embedding of a tower; null for other families';
comment on column trials.dense_layers is 'sizes of the dense layers of a tower; null for other families';
comment on column trials.random_seed is 'seed of all that is random; null where nothing is';
comment on column trials.best_epoch is 'epoch whose weights were kept, from 1; null for families without epochs';
comment on column trials.val_loss is 'loss on the validation split at the best epoch; null for families without epochs';
comment on column trials.val_rmse is 'RMSE of the predicted ratings on validation; null where none are predicted';
comment on column trials.n_parameters is 'numbers that were learned';

alter table rating_predictions alter column prediction drop not null;
comment on column rating_predictions.prediction is
'the predicted rating, not clipped to the scale; null where the model predicts none';
