#!/bin/sh
# Brings the schema up to date. May run any number of times.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
export PATH="$bin:$PATH" PGPASSWORD="$(cat /run/secrets/db_password)"
psql --dbname=postgres --tuples-only --command="SELECT 1 FROM pg_database WHERE datname = 'shop'" | grep -q 1 ||
  createdb shop
psql --set=ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE IF NOT EXISTS orders (
  id bigserial PRIMARY KEY,
  item text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
SQL
echo "schema is up to date"
