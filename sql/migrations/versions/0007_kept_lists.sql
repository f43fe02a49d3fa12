-- A sweep may keep the lists of its best trials alone. Sweeps that are there keep all, in the partition they have.

alter table sweeps add column lists_kept integer;
alter table sweeps add constraint ck_sweeps_lists_kept check (lists_kept >= 1);
comment on column sweeps.lists_kept is
'of how many of its best trials the lists are kept, by `[lists] keep` of the newest sweep file; null: of all';

alter table trials add column lists_removed_at timestamptz;
alter table trials add constraint ck_trials_lists_removed check (lists_removed_at is null or status = 'succeeded');
comment on column trials.lists_removed_at is
'when its rows of recommendations and rating_predictions were removed, because better trials of its sweep are kept; null: they were not';

comment on table recommendations is
'The top k of every user of every succeeded trial, unless removed; one partition a sweep, and within it one a trial where few trials keep their lists.';
comment on table rating_predictions is
'The k top-rated items of every user with rating and prediction; partitions as those of recommendations.';

-- With the sweep as a constant only its own partitions are planned and locked: there may be thousands of others.
create or replace function check_deleted_trials() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    deleted record;
    is_linked boolean;
begin
    for deleted in
        select deleted_rows.sweep_id, array_agg(deleted_rows.trial_id) as trial_ids
        from deleted_rows
        group by deleted_rows.sweep_id
    loop
        execute format(
            'select exists (select from recommendations where sweep_id = %1$s and trial_id = any ($1))'
            ' or exists (select from rating_predictions where sweep_id = %1$s and trial_id = any ($1))'
            ' or exists (select from user_results where sweep_id = %1$s and trial_id = any ($1))',
            deleted.sweep_id
        ) into is_linked using deleted.trial_ids;
        if is_linked then
            raise foreign_key_violation using
                message = 'a trial that has recommendations cannot be deleted: prune its sweep';
        end if;
    end loop;
    return null;
end
$$;
