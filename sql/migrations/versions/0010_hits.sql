-- Which relevant held out items the evaluated list of each user found, and at which rank.

-- In one statement, so that it looks at the stored rows once; none is written anew.
alter table user_results
add column hit_items text[],
add column hit_ranks smallint[],
add constraint ck_user_results_hits check (
    num_nulls(hit_items, hit_ranks) in (0, 2) and cardinality(hit_items) = cardinality(hit_ranks)
),
add constraint ck_user_results_hits_are_judged check (hit_items is null or ndcg is not null);

comment on column user_results.hit_items is
'relevant held out items in the evaluated list, the best rank first, empty where it has none; null where nothing is relevant, and of trials of older versions';
comment on column user_results.hit_ranks is 'the rank of each of them in the evaluated list, from 1';
