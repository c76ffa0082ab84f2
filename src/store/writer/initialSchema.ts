/** The tables of the first version: shipped, so never changed. */
export const initialSchema = `
CREATE TABLE processes (
  id              TEXT PRIMARY KEY,
  host            TEXT NOT NULL,
  pid             INTEGER NOT NULL,
  pid_started     TEXT,
  kind            TEXT NOT NULL,
  started_at_ms   INTEGER NOT NULL,
  heartbeat_at_ms INTEGER NOT NULL,
  ended_at_ms     INTEGER
) STRICT;

CREATE TABLE resources (
  version        INTEGER PRIMARY KEY,
  resources_id   TEXT NOT NULL UNIQUE,
  resources      TEXT NOT NULL,
  sha256         TEXT NOT NULL UNIQUE,
  parent_version INTEGER REFERENCES resources (version),
  author         TEXT NOT NULL,
  created_time   INTEGER NOT NULL,
  is_latest      INTEGER NOT NULL CHECK (is_latest IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX resources_one_latest ON resources (is_latest) WHERE is_latest = 1;
CREATE TRIGGER resources_are_immutable BEFORE UPDATE OF version, resources_id, resources, sha256, parent_version, author, created_time
  ON resources BEGIN SELECT RAISE(ABORT, 'resources are immutable'); END;
CREATE TRIGGER resources_are_kept BEFORE DELETE ON resources BEGIN SELECT RAISE(ABORT, 'resources are immutable'); END;

CREATE TABLE runs (
  id                TEXT PRIMARY KEY,
  ordinal           INTEGER NOT NULL UNIQUE,
  state             TEXT NOT NULL CHECK (state IN ('running', 'paused', 'completed', 'failed', 'cancelled')),
  desired           TEXT NOT NULL DEFAULT 'run' CHECK (desired IN ('run', 'pause', 'cancel')),
  stop_reason       TEXT,
  config_hash       TEXT NOT NULL,
  config            TEXT NOT NULL,
  config_path       TEXT NOT NULL,
  model_ref         TEXT NOT NULL,
  resources_version INTEGER NOT NULL REFERENCES resources (version),
  calls             INTEGER NOT NULL DEFAULT 0,
  input_tokens      INTEGER NOT NULL DEFAULT 0,
  output_tokens     INTEGER NOT NULL DEFAULT 0,
  created_at_ms     INTEGER NOT NULL,
  ended_at_ms       INTEGER
) STRICT;
CREATE INDEX runs_unfinished ON runs (config_hash, ordinal) WHERE state IN ('running', 'paused');

CREATE TABLE run_starts (
  run_id          TEXT NOT NULL REFERENCES runs (id),
  n               INTEGER NOT NULL,
  process_id      TEXT NOT NULL REFERENCES processes (id),
  started_at_ms   INTEGER NOT NULL,
  ended_at_ms     INTEGER,
  end_reason      TEXT,
  finished_before INTEGER NOT NULL,
  requeued        INTEGER NOT NULL,
  unknown_calls   INTEGER NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollouts (
  id                TEXT PRIMARY KEY,
  run_id            TEXT NOT NULL REFERENCES runs (id),
  mode              TEXT NOT NULL CHECK (mode IN ('train', 'val', 'test')),
  ordinal           INTEGER NOT NULL,
  status            TEXT NOT NULL CHECK (status IN ('queuing', 'preparing', 'running', 'failed', 'succeeded', 'cancelled', 'requeuing')),
  input             TEXT NOT NULL,
  input_sha256      TEXT NOT NULL,
  resources_version INTEGER NOT NULL REFERENCES resources (version),
  priority          INTEGER NOT NULL DEFAULT 0,
  run_at_ms         INTEGER NOT NULL,
  epoch             INTEGER NOT NULL DEFAULT 0,
  owner             TEXT,
  lease_until_ms    INTEGER,
  attempts          INTEGER NOT NULL DEFAULT 0,
  attempts_max      INTEGER NOT NULL,
  failures          INTEGER NOT NULL DEFAULT 0,
  crashes           INTEGER NOT NULL DEFAULT 0,
  output            TEXT,
  score             REAL,
  error             TEXT,
  created_at_ms     INTEGER NOT NULL,
  ended_at_ms       INTEGER,
  CHECK ((lease_until_ms IS NOT NULL AND owner IS NOT NULL) = (status IN ('preparing', 'running')))
) STRICT;
CREATE INDEX rollouts_queue ON rollouts (run_id, priority DESC, run_at_ms, ordinal) WHERE status IN ('queuing', 'requeuing');
CREATE INDEX rollouts_leased ON rollouts (run_id, lease_until_ms) WHERE status IN ('preparing', 'running');
CREATE INDEX rollouts_by_run ON rollouts (run_id, status, mode, score);
CREATE UNIQUE INDEX rollouts_in_order ON rollouts (run_id, ordinal);

CREATE TABLE attempts (
  id                TEXT PRIMARY KEY,
  rollout_id        TEXT NOT NULL REFERENCES rollouts (id),
  n                 INTEGER NOT NULL,
  epoch             INTEGER NOT NULL,
  worker_id         TEXT NOT NULL,
  status            TEXT NOT NULL CHECK (status IN ('preparing', 'running', 'failed', 'succeeded', 'unresponsive', 'timeout')),
  resources_version INTEGER NOT NULL,
  started_at_ms     INTEGER NOT NULL,
  ended_at_ms       INTEGER,
  error             TEXT,
  stderr_tail       TEXT,
  UNIQUE (rollout_id, n)
) STRICT;
CREATE UNIQUE INDEX attempts_one_live ON attempts (rollout_id) WHERE status IN ('preparing', 'running');
CREATE UNIQUE INDEX attempts_one_success ON attempts (rollout_id) WHERE status = 'succeeded';

CREATE TABLE rewards (
  attempt_id    TEXT NOT NULL REFERENCES attempts (id),
  name          TEXT NOT NULL,
  rollout_id    TEXT NOT NULL REFERENCES rollouts (id),
  value         REAL NOT NULL,
  feedback      TEXT,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (attempt_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX rewards_by_rollout ON rewards (rollout_id);

CREATE TABLE workers (
  id              TEXT PRIMARY KEY,
  process_id      TEXT NOT NULL REFERENCES processes (id),
  run_id          TEXT NOT NULL REFERENCES runs (id),
  started_at_ms   INTEGER NOT NULL,
  heartbeat_at_ms INTEGER NOT NULL,
  ended_at_ms     INTEGER
) STRICT;
CREATE INDEX workers_by_process ON workers (process_id);

CREATE TABLE payloads (
  sha256  TEXT PRIMARY KEY,
  size    INTEGER NOT NULL,
  content BLOB NOT NULL
) STRICT;

CREATE TABLE spans (
  span_id           TEXT PRIMARY KEY,
  trace_id          TEXT NOT NULL,
  parent_id         TEXT,
  run_id            TEXT,
  rollout_id        TEXT NOT NULL,
  attempt_id        TEXT NOT NULL,
  sequence_id       INTEGER NOT NULL,
  process_id        TEXT NOT NULL,
  name              TEXT NOT NULL,
  kind              TEXT NOT NULL,
  state             TEXT NOT NULL,
  method            TEXT NOT NULL,
  path              TEXT NOT NULL,
  status_code       INTEGER,
  model             TEXT,
  input_tokens      INTEGER,
  output_tokens     INTEGER,
  attributes        TEXT NOT NULL,
  events            TEXT NOT NULL,
  start_time_us     INTEGER NOT NULL,
  end_time_us       INTEGER,
  resources_version INTEGER,
  request_bytes     INTEGER NOT NULL DEFAULT 0,
  response_bytes    INTEGER NOT NULL DEFAULT 0,
  request_sha256    TEXT,
  response_sha256   TEXT,
  answer_sha256     TEXT
) STRICT;
CREATE UNIQUE INDEX spans_by_attempt ON spans (attempt_id, sequence_id);
CREATE INDEX spans_by_rollout ON spans (rollout_id, start_time_us);
CREATE INDEX spans_open ON spans (process_id) WHERE state = 'open';
`
