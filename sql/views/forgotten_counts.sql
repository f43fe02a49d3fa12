-- How many users were removed from each version of the ratings by `make forget`.
create view forgotten_counts as
select forgotten_users.dataset_id, count(*) as n_forgotten
from forgotten_users
group by forgotten_users.dataset_id;

comment on view forgotten_counts is
'How many users were removed from each version of the ratings by `make forget`; versions without any are left out.';
comment on column forgotten_counts.dataset_id is 'the version of the ratings';
comment on column forgotten_counts.n_forgotten is 'users that it had and that were forgotten';
