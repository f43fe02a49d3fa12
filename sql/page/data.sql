-- versions: which data sets are stored, from where was each version read, and who was forgotten?
select
    datasets.dataset_id,
    datasets.name,
    datasets.fingerprint,
    datasets.is_synthetic,
    datasets.n_users,
    datasets.n_items,
    datasets.n_ratings,
    datasets.rating_min,
    datasets.rating_max,
    datasets.prepared_at,
    datasets.source,
    datasets.source_read_at,
    datasets.previous_id,
    coalesce(forgotten_counts.n_forgotten, 0) as n_forgotten,
    counted.n_sweeps,
    newest.sweep_id as newest_sweep_id,
    newest.protocol as newest_protocol,
    exists (
        select from sweeps
        where sweeps.dataset_id = datasets.dataset_id and sweeps.sweep_id = cast(:sweep_id as integer)
    ) as is_of_sweep,
    logged.log_url
from datasets
left join forgotten_counts using (dataset_id)
cross join lateral (
    select count(*) as n_sweeps from sweeps where sweeps.dataset_id = datasets.dataset_id
) as counted
left join lateral (
    select sweeps.sweep_id, sweeps.protocol
    from sweeps
    where sweeps.dataset_id = datasets.dataset_id
    order by sweeps.sweep_id desc
    limit 1
) as newest on true
left join lateral (
    select trials.log_url
    from trials
    join sweeps using (sweep_id)
    where sweeps.dataset_id = datasets.dataset_id and trials.log_url is not null
    order by trials.trial_id desc
    limit 1
) as logged on true
order by datasets.dataset_id desc
limit 100;

-- popularity: how many items have how many ratings, by powers of two?
select
    width_bucket(
        items.n_ratings,
        array[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144]
    ) as step,
    count(*) as n_items,
    cast(sum(items.n_ratings) as bigint) as n_ratings
from items
where items.dataset_id = cast(:dataset_id as integer)
group by step
order by step;

-- genres: how many items and ratings has each genre?
select genres.genre, count(*) as n_items, cast(sum(items.n_ratings) as bigint) as n_ratings
from items
cross join lateral unnest(items.genres) as genres (genre)
where items.dataset_id = cast(:dataset_id as integer)
group by genres.genre
order by n_ratings desc, genres.genre
limit 20;

-- catalogue: how many items have a title, and a rating?
select
    count(*) as n_items,
    count(*) filter (where items.n_ratings > 0) as n_rated,
    count(*) filter (where items.title = '') as n_untitled,
    count(*) filter (where cardinality(items.genres) > 0) as n_with_genres
from items
where items.dataset_id = cast(:dataset_id as integer);
