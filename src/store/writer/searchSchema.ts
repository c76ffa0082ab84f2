/** The tables of searches, as migration 0009 made them: they never change. */
export const searchSchema = `
ALTER TABLE rollouts ADD COLUMN candidate INTEGER;
ALTER TABLE rollouts ADD COLUMN example TEXT;
ALTER TABLE rollouts ADD COLUMN sample INTEGER;

CREATE TABLE search_steps (
  run_id      TEXT NOT NULL REFERENCES runs (id),
  n           INTEGER NOT NULL,
  chain       TEXT NOT NULL,
  stop_reason TEXT,
  stop_detail TEXT,
  rollouts    INTEGER NOT NULL,
  reflections INTEGER NOT NULL,
  at_ms       INTEGER NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_candidates (
  run_id            TEXT NOT NULL REFERENCES runs (id),
  n                 INTEGER NOT NULL,
  step              INTEGER NOT NULL,
  resources_version INTEGER REFERENCES resources (version),
  texts             TEXT NOT NULL,
  parents           TEXT NOT NULL,
  change            TEXT,
  path              TEXT NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX search_candidates_by_version ON search_candidates (resources_version);

CREATE TABLE search_events (
  run_id TEXT NOT NULL REFERENCES runs (id),
  n      INTEGER NOT NULL,
  step   INTEGER NOT NULL,
  data   TEXT NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER search_events_are_immutable BEFORE UPDATE ON search_events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER search_events_are_kept BEFORE DELETE ON search_events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE search_reflections (
  run_id        TEXT NOT NULL REFERENCES runs (id),
  n             INTEGER NOT NULL,
  step          INTEGER NOT NULL,
  path          TEXT NOT NULL,
  prompt_sha256 TEXT NOT NULL,
  attempts      INTEGER NOT NULL DEFAULT 0,
  answer        TEXT,
  failure       TEXT,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_results (
  run_id TEXT PRIMARY KEY REFERENCES runs (id),
  result TEXT NOT NULL,
  at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gate_openings (
  gate_set TEXT NOT NULL,
  k        INTEGER NOT NULL,
  run_id   TEXT NOT NULL REFERENCES runs (id),
  -- The latest version then: what the candidate has to beat.
  incumbent INTEGER NOT NULL REFERENCES resources (version),
  at_ms    INTEGER NOT NULL,
  PRIMARY KEY (gate_set, k)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER gate_openings_are_kept BEFORE DELETE ON gate_openings
  BEGIN SELECT RAISE(ABORT, 'openings are never forgotten'); END;

CREATE TABLE promotions (
  n         INTEGER PRIMARY KEY,
  at_ms     INTEGER NOT NULL,
  run_id    TEXT NOT NULL REFERENCES runs (id),
  version   INTEGER NOT NULL REFERENCES resources (version),
  replaced  INTEGER REFERENCES resources (version),
  decision  TEXT NOT NULL CHECK (decision IN ('gate', 'forced')),
  principal TEXT,
  reason    TEXT
) STRICT;
CREATE TRIGGER promotions_are_kept BEFORE DELETE ON promotions
  BEGIN SELECT RAISE(ABORT, 'promotions are append-only'); END;
`
