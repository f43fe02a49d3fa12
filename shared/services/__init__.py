"""The services of one machine: PostgreSQL, Redis, workers, watcher and Flower, under a supervisor."""
