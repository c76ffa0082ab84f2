import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { open } from "../../src/store/writer/Database.js"
import { storeBefore } from "../support/olderStore.js"
import { scratchFolder } from "../support/store.js"

/** What an attempt failed with, and what is to be known of it. */
const failures = [
  ["scorer judge failed: the server gave no answer: ECONNREFUSED", "scorer"],
  ["the agent failed: the server gave no answer: other side closed", "agent"],
  ["the agent answered with 429", "agent"],
  ["the agent answered with 502: Bad Gateway", "agent"],
  ["the agent answered with 504", "agent"],
  ["the agent answered with 500: no such tool", null],
  ["the agent answered with 400: 503", null],
  ["exit code 1", null],
  [null, null]
] as const

describe("What broke an attempt", () => {
  it.scoped("is known of those that were made before it was noted", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const older = storeBefore("0012_broken_by", path)
      older.exec(`INSERT INTO resources VALUES (1, 'resources-1', '{}', 'a', NULL, 'config', 1, 0);
        INSERT INTO runs (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
          VALUES ('run-1', 1, 'running', 'h', '{}', 'c', 'm', 1, 1);
        INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max,
          created_at_ms, attempts) VALUES ('r', 'run-1', 'train', 0, 'failed', '{}', 's', 1, 1, 99, 1, ${failures.length})`)
      const insert = older.prepare(
        `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms, error)
         VALUES ('r:attempt-' || :n, 'r', :n, :n, 'w', 'failed', 1, 1, :error)`
      )
      for (const [index, [error]] of failures.entries()) insert.run({ n: index + 1, error })
      older.close()

      const { connection } = open(path)
      assert.deepStrictEqual(
        connection.prepare("SELECT error, broken_by FROM attempts ORDER BY n").raw().all(),
        failures.map((failure) => [...failure])
      )
      connection.close()
    }))
})
