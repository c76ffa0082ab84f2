/**
 * The rollouts of each run, counted as they move: how far a run is, and what it scored, is a matter of a row per version and
 * mode, whatever its size. A change of status touches one such row, in the transaction of the change.
 */
const statuses = ["queuing", "preparing", "running", "requeuing", "succeeded", "failed", "cancelled"] as const

/** All rollouts of a row, in SQL. */
export const allCounted = statuses.join(" + ")

/** One line for each status. */
const each = (line: (status: string) => string) => statuses.map(line).join(",\n  ")

const key = "run_id = NEW.run_id AND resources_version = NEW.resources_version AND mode = NEW.mode"

/** Sums are as exact as adding numbers one by one is: in another order the last digits may differ. */
export const runCountsSql = `
CREATE TABLE run_counts (
  run_id            TEXT NOT NULL REFERENCES runs (id),
  resources_version INTEGER NOT NULL,
  mode              TEXT NOT NULL,
  ${each((status) => `${status} INTEGER NOT NULL DEFAULT 0`)},
  scored            INTEGER NOT NULL DEFAULT 0,
  score_sum         REAL NOT NULL DEFAULT 0,
  score_square_sum  REAL NOT NULL DEFAULT 0,
  partial           INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, resources_version, mode)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_counts_by_version ON run_counts (resources_version);
INSERT INTO run_counts
  SELECT run_id, resources_version, mode,
  ${each((status) => `sum(status = '${status}')`)},
  count(score), coalesce(sum(score), 0.0), coalesce(sum(score * score), 0.0), coalesce(sum(score NOT IN (0, 1)), 0)
  FROM rollouts GROUP BY run_id, resources_version, mode;

CREATE TRIGGER rollout_is_counted AFTER INSERT ON rollouts BEGIN
  INSERT INTO run_counts (run_id, resources_version, mode) VALUES (NEW.run_id, NEW.resources_version, NEW.mode)
    ON CONFLICT DO NOTHING;
  UPDATE run_counts SET
  ${each((status) => `${status} = ${status} + (NEW.status = '${status}')`)},
  scored = scored + (NEW.score IS NOT NULL),
  score_sum = score_sum + coalesce(NEW.score, 0.0),
  score_square_sum = score_square_sum + coalesce(NEW.score * NEW.score, 0.0),
  partial = partial + coalesce(NEW.score NOT IN (0, 1), 0)
  WHERE ${key};
END;
CREATE TRIGGER rollout_is_counted_anew AFTER UPDATE OF status, score ON rollouts
  WHEN NEW.status <> OLD.status OR NEW.score IS NOT OLD.score
BEGIN
  UPDATE run_counts SET
  ${each((status) => `${status} = ${status} + (NEW.status = '${status}') - (OLD.status = '${status}')`)},
  scored = scored + (NEW.score IS NOT NULL) - (OLD.score IS NOT NULL),
  score_sum = score_sum + coalesce(NEW.score, 0.0) - coalesce(OLD.score, 0.0),
  score_square_sum = score_square_sum + coalesce(NEW.score * NEW.score, 0.0) - coalesce(OLD.score * OLD.score, 0.0),
  partial = partial + coalesce(NEW.score NOT IN (0, 1), 0) - coalesce(OLD.score NOT IN (0, 1), 0)
  WHERE ${key};
END;
CREATE TRIGGER rollouts_stay_in_their_run BEFORE UPDATE OF run_id, resources_version, mode ON rollouts
  BEGIN SELECT RAISE(ABORT, 'run, version and mode of a rollout are immutable'); END;
CREATE TRIGGER rollouts_are_kept BEFORE DELETE ON rollouts
  BEGIN SELECT RAISE(ABORT, 'rollouts are kept'); END;

-- What counted the rollouts of a run before, once it was over, and the index that made counting bearable until then.
DROP TRIGGER runs_are_counted;
DROP TABLE run_results;
DROP INDEX rollouts_by_run;
CREATE INDEX rollouts_cancelled ON rollouts (run_id, ordinal) WHERE status = 'cancelled';

CREATE VIEW run_results (run_id, resources_version, mode, status, rollouts, scored, score_sum) AS
${
  statuses.map((status) => {
    // Only who succeeds has a score.
    const scores = status === "succeeded" ? "scored, score_sum" : "0, 0.0"
    return `SELECT run_id, resources_version, mode, '${status}', ${status}, ${scores} FROM run_counts WHERE ${status} > 0`
  }).join("\nUNION ALL ")
};
`
