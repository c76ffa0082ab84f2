import { initialSchema } from "./initialSchema.js"
import { runCountsSql } from "./runCounts.js"
import { searchSchema } from "./searchSchema.js"

/** Every migration, in order. Append only: a shipped migration never changes, its hash is compared at each start. */
export const migrations: ReadonlyArray<{ readonly name: string; readonly sql: string }> = [
  {
    name: "0001_initial",
    sql: initialSchema
  },
  {
    name: "0002_control",
    sql: `
CREATE TABLE control_log (
  n               INTEGER PRIMARY KEY,
  at_ms           INTEGER NOT NULL,
  principal       TEXT NOT NULL,
  action          TEXT NOT NULL CHECK (action IN ('status', 'pause', 'resume', 'cancel', 'rollback')),
  action_key      TEXT NOT NULL,
  lifecycle_state TEXT NOT NULL CHECK (lifecycle_state IN ('running', 'paused', 'cancelled', 'rollback_requested')),
  idempotent      INTEGER NOT NULL CHECK (idempotent IN (0, 1)),
  decision        TEXT NOT NULL,
  detail          TEXT NOT NULL
) STRICT;
CREATE TRIGGER control_log_is_immutable BEFORE UPDATE ON control_log
  BEGIN SELECT RAISE(ABORT, 'the control log is append-only'); END;
CREATE TRIGGER control_log_is_not_replaced BEFORE INSERT ON control_log
  WHEN EXISTS (SELECT 1 FROM control_log WHERE n = NEW.n)
  BEGIN SELECT RAISE(ABORT, 'the control log is append-only'); END;
CREATE TRIGGER control_log_is_kept BEFORE DELETE ON control_log
  BEGIN SELECT RAISE(ABORT, 'the control log is append-only'); END;
`
  },
  {
    name: "0003_retries",
    sql: `
ALTER TABLE spans ADD COLUMN retried_by TEXT;
CREATE INDEX spans_failed ON spans (attempt_id, request_sha256)
  WHERE (state IN ('client_cancel', 'upstream_cut', 'upstream_error', 'timeout') OR status_code IN (408, 409, 425, 429) OR status_code >= 500);
`
  },
  {
    name: "0004_pieces",
    sql: `
ALTER TABLE payloads RENAME TO bodies;
ALTER TABLE bodies ADD COLUMN form TEXT NOT NULL DEFAULT 'whole' CHECK (form IN ('whole', 'recipe'));

CREATE TABLE pieces (
  id      INTEGER PRIMARY KEY,
  sha256  BLOB NOT NULL UNIQUE,
  content BLOB NOT NULL
) STRICT;

CREATE TABLE piece_lists (
  id     INTEGER PRIMARY KEY,
  key    BLOB NOT NULL UNIQUE,
  head   INTEGER REFERENCES piece_lists (id),
  piece  INTEGER NOT NULL REFERENCES pieces (id),
  length INTEGER NOT NULL
) STRICT;

CREATE VIEW payloads (sha256, size, content) AS
SELECT sha256, size, CASE form WHEN 'whole' THEN content ELSE (
  WITH RECURSIVE
    part (n, type, value) AS (SELECT key, type, value FROM json_each(CAST(bodies.content AS TEXT))),
    link (n, place, head, piece) AS (
      SELECT n, length, head, piece FROM part JOIN piece_lists ON id = value WHERE type = 'integer'
      UNION ALL
      SELECT n, length, l.head, l.piece FROM link JOIN piece_lists l ON l.id = link.head
    )
  SELECT CAST(group_concat(bytes, '') AS BLOB) FROM (
    SELECT n, 0 AS place, value AS bytes FROM part WHERE type = 'text'
    UNION ALL
    SELECT n, place, CAST(content AS TEXT) FROM link JOIN pieces ON id = piece
    ORDER BY n, place
  )
) END
FROM bodies;
`
  },
  {
    // `sha256` is given to the connection by Database.ts; auditChain.ts hashes the rows that come later, in the same words.
    name: "0005_audit_chain",
    sql: `
DROP TRIGGER control_log_is_immutable;
ALTER TABLE control_log ADD COLUMN outcome TEXT CHECK (outcome IN ('done', 'denied', 'refused', 'failed'));
ALTER TABLE control_log ADD COLUMN rollback_checkpoint TEXT;
ALTER TABLE control_log ADD COLUMN checkpoint_source TEXT CHECK (checkpoint_source IN ('primary', 'fallback'));
ALTER TABLE control_log ADD COLUMN prev_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE control_log ADD COLUMN hash TEXT NOT NULL DEFAULT '';
UPDATE control_log SET outcome = 'denied' WHERE decision LIKE 'deny%';
WITH RECURSIVE chain (n, prev_hash, hash) AS (
  SELECT n, '', sha256(json_array('', n, at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail,
                                  outcome, rollback_checkpoint, checkpoint_source))
  FROM control_log WHERE n = (SELECT min(n) FROM control_log)
  UNION ALL
  SELECT l.n, c.hash, sha256(json_array(c.hash, l.n, l.at_ms, l.principal, l.action, l.action_key, l.lifecycle_state,
                                        l.idempotent, l.decision, l.detail, l.outcome, l.rollback_checkpoint, l.checkpoint_source))
  FROM chain c JOIN control_log l ON l.n = (SELECT min(n) FROM control_log WHERE n > c.n)
)
UPDATE control_log SET prev_hash = chain.prev_hash, hash = chain.hash FROM chain WHERE chain.n = control_log.n;
CREATE TRIGGER control_log_is_immutable BEFORE UPDATE ON control_log
  BEGIN SELECT RAISE(ABORT, 'the control log is append-only'); END;
CREATE TRIGGER control_log_is_a_chain BEFORE INSERT ON control_log
  WHEN NEW.prev_hash IS NOT coalesce((SELECT hash FROM control_log ORDER BY n DESC LIMIT 1), '') OR length(NEW.hash) <> 64
  BEGIN SELECT RAISE(ABORT, 'the row does not continue the chain of the control log'); END;
`
  },
  {
    // Triggers: whatever moves a run, its event is in the same transaction.
    name: "0006_run_events",
    sql: `
ALTER TABLE run_starts ADD COLUMN command TEXT;
CREATE TABLE run_events (
  n           INTEGER PRIMARY KEY,
  at_ms       INTEGER NOT NULL,
  run_id      TEXT NOT NULL REFERENCES runs (id),
  start       INTEGER,
  reason_code TEXT NOT NULL CHECK (reason_code IN ('job_queued', 'job_started', 'job_succeeded', 'job_runtime_error', 'job_timeout',
                'job_cancelled_before_start', 'job_cancelled_during_run', 'job_recovered_after_restart'))
) STRICT;
CREATE INDEX run_events_by_run ON run_events (run_id, n);
CREATE TRIGGER run_events_are_immutable BEFORE UPDATE ON run_events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER run_events_are_kept BEFORE DELETE ON run_events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER run_is_queued AFTER INSERT ON runs BEGIN
  INSERT INTO run_events (at_ms, run_id, reason_code) VALUES (NEW.created_at_ms, NEW.id, 'job_queued');
END;
CREATE TRIGGER run_is_started AFTER INSERT ON run_starts BEGIN
  INSERT INTO run_events (at_ms, run_id, start, reason_code) VALUES (
    NEW.started_at_ms, NEW.run_id, NEW.n,
    CASE WHEN EXISTS (SELECT 1 FROM run_starts WHERE run_id = NEW.run_id AND n = NEW.n - 1 AND ended_at_ms IS NULL)
      THEN 'job_recovered_after_restart' ELSE 'job_started' END);
END;
CREATE TRIGGER run_start_is_over AFTER UPDATE OF ended_at_ms ON run_starts
  WHEN OLD.ended_at_ms IS NULL AND NEW.end_reason IN ('completed', 'failed', 'error', 'completion_timeout') BEGIN
  INSERT INTO run_events (at_ms, run_id, start, reason_code) VALUES (
    NEW.ended_at_ms, NEW.run_id, NEW.n,
    CASE NEW.end_reason WHEN 'completed' THEN 'job_succeeded' WHEN 'completion_timeout' THEN 'job_timeout'
      ELSE 'job_runtime_error' END);
END;
CREATE TRIGGER run_is_cancelled AFTER UPDATE OF state ON runs WHEN NEW.state = 'cancelled' AND OLD.state <> 'cancelled' BEGIN
  INSERT INTO run_events (at_ms, run_id, start, reason_code) VALUES (
    coalesce(NEW.ended_at_ms, NEW.created_at_ms), NEW.id, (SELECT max(n) FROM run_starts WHERE run_id = NEW.id),
    CASE WHEN EXISTS (SELECT 1 FROM rollouts WHERE run_id = NEW.id AND attempts > 0)
      THEN 'job_cancelled_during_run' ELSE 'job_cancelled_before_start' END);
END;
`
  },
  {
    name: "0007_reading",
    sql: `
-- One more column makes every count of a run a matter of this index alone.
DROP INDEX rollouts_by_run;
CREATE INDEX rollouts_by_run ON rollouts (run_id, status, mode, score, resources_version);
CREATE INDEX rollouts_failed ON rollouts (run_id, ordinal) WHERE status = 'failed';
CREATE INDEX spans_troubled ON spans (span_id) WHERE state NOT IN ('open', 'done') OR status_code >= 400;

-- What a run that is over came to: its rollouts do not change any more, so that nobody has to count them again.
CREATE TABLE run_results (
  run_id            TEXT NOT NULL REFERENCES runs (id),
  resources_version INTEGER NOT NULL,
  mode              TEXT NOT NULL,
  status            TEXT NOT NULL,
  rollouts          INTEGER NOT NULL,
  scored            INTEGER NOT NULL,
  score_sum         REAL NOT NULL,
  PRIMARY KEY (run_id, resources_version, mode, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_results_by_version ON run_results (resources_version);
INSERT INTO run_results
  SELECT run_id, resources_version, mode, status, count(*), count(score), coalesce(sum(score), 0.0)
  FROM rollouts WHERE run_id IN (SELECT id FROM runs WHERE state IN ('completed', 'failed', 'cancelled'))
  GROUP BY run_id, resources_version, mode, status;
CREATE TRIGGER runs_are_counted AFTER UPDATE OF state ON runs
  WHEN NEW.state IN ('completed', 'failed', 'cancelled') OR OLD.state IN ('completed', 'failed', 'cancelled')
BEGIN
  DELETE FROM run_results WHERE run_id = NEW.id;
  INSERT INTO run_results
    SELECT run_id, resources_version, mode, status, count(*), count(score), coalesce(sum(score), 0.0)
    FROM rollouts WHERE run_id = NEW.id AND NEW.state IN ('completed', 'failed', 'cancelled')
    GROUP BY run_id, resources_version, mode, status;
END;
`
  },
  {
    name: "0008_client_keys",
    sql: `
CREATE TABLE client_keys (
  id              TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  secret_sha256   TEXT NOT NULL,
  scope           TEXT NOT NULL,
  created_at_ms   INTEGER NOT NULL,
  expires_at_ms   INTEGER,
  revoked_at_ms   INTEGER,
  last_used_at_ms INTEGER
) STRICT;
`
  },
  {
    name: "0009_search",
    sql: searchSchema
  },
  { name: "0010_counts", sql: runCountsSql },
  {
    // Comparisons: for a list of values after IN, SQLite fills a table of its own for every span that is written.
    name: "0011_failed_tries",
    sql: `
DROP INDEX spans_failed;
CREATE INDEX spans_failed ON spans (attempt_id, request_sha256)
  WHERE (state = 'client_cancel' OR state = 'upstream_cut' OR state = 'upstream_error' OR state = 'timeout'
    OR status_code = 408 OR status_code = 409 OR status_code = 425 OR status_code = 429 OR status_code >= 500);
`
  },
  {
    // Attempts of before it was noted say it in their error alone.
    name: "0012_broken_by",
    sql: `
ALTER TABLE attempts ADD COLUMN broken_by TEXT CHECK (broken_by IN ('scorer', 'agent'));
UPDATE attempts SET broken_by = CASE
    WHEN error LIKE 'scorer % failed:%' THEN 'scorer'
    WHEN error LIKE 'the agent failed: the server gave no answer:%' OR error GLOB 'the agent answered with 429*'
      OR error GLOB 'the agent answered with 50[234]*' THEN 'agent'
  END
  WHERE status = 'failed' AND error IS NOT NULL;
`
  },
  {
    name: "0013_awaited_answers",
    sql: `
CREATE TABLE awaited_answers (
  response_id TEXT NOT NULL,
  span_id     TEXT NOT NULL,
  PRIMARY KEY (response_id, span_id)
) STRICT, WITHOUT ROWID;
`
  }
]
