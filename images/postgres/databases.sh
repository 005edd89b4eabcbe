#!/bin/sh
# Run once, by the image's entrypoint, when the cluster is made: one role and one database for each of the two users.
set -eu
for name in airflow core; do
    # a statement that fails is not logged: this one holds a password
    PGOPTIONS='-c log_min_error_statement=panic' \
        psql --set ON_ERROR_STOP=1 --set name="$name" --set password="$(cat "/run/secrets/postgres_$name")" \
        --host /var/run/postgresql --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
