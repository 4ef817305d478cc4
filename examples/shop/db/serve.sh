#!/bin/sh
# Starts PostgreSQL; makes the database at the first start. Safe to kill at any point: a half-made
# cluster lies aside and is made anew.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
export PATH="$bin:$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.new"
  initdb --pgdata="$PGDATA.new" --username=shop --auth=scram-sha-256 --pwfile=/run/secrets/db_password --encoding=UTF8 --locale=C.UTF-8
  echo "host all all all scram-sha-256" >> "$PGDATA.new/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA.new/postgresql.conf"
  echo "unix_socket_directories = '/tmp'" >> "$PGDATA.new/postgresql.conf"
  mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA"
