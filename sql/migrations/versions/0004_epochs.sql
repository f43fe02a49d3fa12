-- Epochs of any family: some have no loss or no RMSE on validation; the sweep's objective may stop a training.

alter table epochs alter column val_loss drop not null;
alter table epochs alter column val_rmse drop not null;
alter table epochs add column objective double precision;

comment on column epochs.loss is 'what training minimises, on the training ratings';
comment on column epochs.val_loss is 'the same on validation; null where the family has none';
comment on column epochs.val_rmse is 'RMSE of the predicted ratings on validation; null where none are predicted';
comment on column epochs.objective is
'the sweep''s objective on validation after the epoch, such as ndcg@20; null where training did not look at it';
