-- A store as schema 1 writes it: three revisions, the first compacted, one lease. Never changed.
PRAGMA application_id = 1112691784;
PRAGMA user_version = 1;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE entries (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  value TEXT NOT NULL,
  create_revision INTEGER NOT NULL,
  mod_revision INTEGER NOT NULL,
  version INTEGER NOT NULL,
  lease_id INTEGER
) STRICT;
CREATE INDEX entries_by_lease ON entries (lease_id) WHERE lease_id IS NOT NULL;
CREATE TABLE history (
  revision INTEGER PRIMARY KEY,
  head TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES ('compact_revision', '1'), ('epoch', 'first-life');
INSERT INTO entries VALUES (1, 'a/1', '{"x":2}', 1, 2, 2, NULL), (2, 'b', '"ü"', 3, 3, 1, 1);
INSERT INTO history VALUES
  (2, '[["a/1",[1,2,2,0,7],[1,1,1,0,7]]]', '{"x":2}{"x":1}'),
  (3, '[["b",[3,3,1,1,3],0]]', '"ü"');
INSERT INTO leases VALUES (1, 60000);
