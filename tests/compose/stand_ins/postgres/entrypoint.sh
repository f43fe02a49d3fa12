#!/bin/sh
# Stands in for the entrypoint of the real image: makes the cluster the first time, then runs the command.
set -eu
export PGDATA=${PGDATA:-/var/lib/postgresql/data} PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
step_down() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" > "$password"
    chown postgres "$password"
    # The arguments are words by design.
    # shellcheck disable=SC2086
    step_down initdb --username="$POSTGRES_USER" --pwfile="$password" ${POSTGRES_INITDB_ARGS:-}
    rm "$password"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    echo "create database \"$POSTGRES_DB\"" | step_down postgres --single -j postgres > /dev/null
fi
mkdir -p /var/run/postgresql
chown postgres:postgres /var/run/postgresql
exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"
