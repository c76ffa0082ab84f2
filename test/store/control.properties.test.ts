import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import type { ControlChange } from "../../src/domain/Control.js"
import { type Audited, auditHash } from "../../src/store/writer/auditChain.js"
import { applyControl } from "../../src/store/writer/control.js"
import { type Db, open } from "../../src/store/writer/Database.js"
import { startProcess } from "../../src/store/writer/processes.js"
import { publishResources } from "../../src/store/writer/resources.js"
import {
  claim,
  type Claimed,
  fail,
  heartbeat,
  release,
  rescue,
  start,
  succeed
} from "../../src/store/writer/rollouts.js"
import { beginRun, endRun } from "../../src/store/writer/runs.js"
import { testSeed } from "../support/seed.js"

/** How many orders of events are tried. */
const parts = 8
const ordersPerPart = 250

/** How many of them share a store, so that each still finds it small. */
const storiesPerStore = 25

const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
let stores = 0
const openNext = (): Db => {
  stores += 1
  const next = open(join(folder, `store-${stores}.sqlite`))
  // What is asked here is order, not durability.
  for (const pragma of ["journal_mode = MEMORY", "synchronous = OFF", "locking_mode = EXCLUSIVE"]) {
    next.connection.pragma(pragma)
  }
  return next
}
let db = openNext()
afterAll(() => {
  db.connection.close()
  rmSync(folder, { recursive: true, force: true })
})

/** One operation is one transaction, as it is for the writer thread. */
const commit = <Input, Output>(operation: (db: Db, input: Input) => Output, input: Input): Output => {
  db.now += 1
  return db.connection.transaction(() => operation(db, input)).immediate()
}

const verb = FastCheck.record({
  kind: FastCheck.constantFrom("pause" as const, "resume" as const, "cancel" as const, "rollback" as const),
  version: FastCheck.integer({ min: 1, max: 3 })
})
const work = FastCheck.oneof(
  FastCheck.record({ kind: FastCheck.constant("claim" as const), worker: FastCheck.integer({ min: 1, max: 3 }) }),
  FastCheck.record({
    kind: FastCheck.constantFrom(
      "start" as const,
      "succeed" as const,
      "fail" as const,
      "release" as const,
      "heartbeat" as const
    ),
    claim: FastCheck.nat({ max: 4 })
  }),
  FastCheck.record({
    kind: FastCheck.constantFrom("expire" as const, "publish" as const),
    claim: FastCheck.constant(0)
  })
)
const story = FastCheck.record({
  live: FastCheck.boolean(),
  steps: FastCheck.array(FastCheck.oneof({ weight: 3, arbitrary: work }, { weight: 1, arbitrary: verb }), {
    minLength: 4,
    maxLength: 24,
    size: "max"
  })
})
type Story = typeof story extends FastCheck.Arbitrary<infer Value> ? Value : never

const { pid: deadPid } = spawnSync(process.execPath, ["--version"])
const rows = <Row>(sql: string, ...values: ReadonlyArray<unknown>) => db.prepare(sql).all(...values) as Array<Row>
const auditRows = () => rows<{ n: number }>("SELECT count(*) AS n FROM control_log")[0]!.n

let stories = 0

/** Plays one story on a run of its own, and looks at the store after every step. */
const play = ({ live, steps }: Story) => {
  stories += 1
  if (stories % storiesPerStore === 0) {
    lookAtChain()
    db.connection.close()
    db = openNext()
  }
  const processId = `p${stories}`
  commit(startProcess, { id: processId, kind: "run", pid: live ? process.pid : deadPid })
  for (const text of ["1", "2", "3"]) commit(publishResources, { resources: text, author: "test" })
  const { resourcesVersion, runId } = commit(beginRun, {
    configHash: `hash-${stories}`,
    config: "{}",
    configPath: "config.json",
    modelRef: "sim/x",
    processId,
    resources: null,
    rollouts: [1, 2, 3].map((n) => ({ mode: "train" as const, input: `{"n":${n}}` })),
    attemptsMax: 2,
    command: null
  })
  const claims: Array<Claimed> = []
  const fenced = new Set<Claimed>()
  let desired = "run" as "run" | "pause" | "cancel"

  const ask = (name: ControlChange, version: number) => {
    const before = auditRows()
    const applied = commit(applyControl, {
      verb: name,
      actionKey: `control:rl:${name}`,
      principal: "test",
      decision: "allow_team_mode_disabled",
      resourcesVersion: name === "rollback" ? version : null,
      rollbackCheckpoint: name === "rollback" ? "c.json" : null,
      checkpointSource: null
    })
    assert.strictEqual(auditRows(), before + 1, "I14: one row for a verb, refused or not")
    if (desired === "cancel" && live && (name === "pause" || name === "resume")) assert.isTrue(applied.refused)
    if (desired === "cancel") return
    if (name === "pause") desired = "pause"
    if (name === "resume") desired = "run"
    if (name === "cancel") {
      desired = "cancel"
      for (const held of claims) fenced.add(held)
    }
    if (name === "rollback") {
      assert.deepStrictEqual(rows("SELECT version FROM resources WHERE is_latest = 1"), [{ version }])
    }
  }

  for (const step of steps) {
    if (step.kind === "claim") {
      const taken = commit(claim, { runId, workerId: `w${step.worker}`, leaseMs: 1_000, limit: 1 })
      if (desired !== "run") assert.deepStrictEqual(taken, [], "I23: nothing new while paused or cancelled")
      for (const one of taken) assert.strictEqual(one.resourcesVersion, resourcesVersion)
      claims.push(...taken)
    } else if (step.kind === "publish") {
      commit(publishResources, { resources: `text ${stories}`, author: "test" })
    } else if (step.kind === "expire") {
      db.now += 2_000
      commit(rescue, { runId, leaseMs: 1_000, own: [] })
    } else if ("version" in step) ask(step.kind, step.version)
    else if (claims.length > 0) {
      const held = claims[step.claim % claims.length]!
      const { epoch, rolloutId } = held
      const before = rows("SELECT * FROM rollouts WHERE id = ?", rolloutId)
      const isRefused = step.kind === "heartbeat"
        ? commit(heartbeat, { processId, leaseMs: 1_000, leases: [{ rolloutId, epoch }] }).length === 0
        : step.kind === "start"
        ? commit(start, held) !== null
        : step.kind === "succeed"
        ? commit(succeed, { ...held, output: "4", score: 1, rewards: [] }) !== null
        : step.kind === "fail"
        ? commit(fail, {
          ...held,
          status: "failed",
          error: "e",
          brokenBy: null,
          stderrTail: null,
          permanent: false
        }) !== null
        : commit(release, held) !== null
      if (fenced.has(held)) assert.isTrue(isRefused, "I24: nothing of a cancelled attempt is kept")
      if (isRefused) assert.deepStrictEqual(rows("SELECT * FROM rollouts WHERE id = ?", rolloutId), before)
    }
    look(runId, resourcesVersion, desired === "cancel")
  }

  if (desired === "pause") ask("resume", 1)
  for (let n = 0; n < (desired === "run" ? 20 : 0); n++) {
    db.now += 60_000
    commit(rescue, { runId, leaseMs: 1_000, own: [] })
    for (const held of commit(claim, { runId, workerId: "last", leaseMs: 1_000, limit: 3 })) {
      assert.isNull(commit(start, held))
      assert.isNull(commit(succeed, { ...held, output: "4", score: 1, rewards: [] }))
    }
  }
  const left = rows(
    "SELECT 1 FROM rollouts WHERE run_id = ? AND status NOT IN ('succeeded', 'failed', 'cancelled')",
    runId
  )
  assert.deepStrictEqual(left, [], "I23: a pause loses no work")
  commit(endRun, { runId, processId, state: desired === "cancel" ? "cancelled" : "completed", stopReason: null })
}

const look = (runId: string, resourcesVersion: number, isCancelled: boolean) => {
  assert.strictEqual(rows("SELECT 1 FROM resources WHERE is_latest = 1").length, 1)
  const rollouts = rows<{ id: string; status: string; live: number; won: number; version: number }>(
    `SELECT r.id, r.status, r.resources_version AS version,
       (SELECT count(*) FROM attempts WHERE rollout_id = r.id AND status IN ('preparing', 'running')) AS live,
       (SELECT count(*) FROM attempts WHERE rollout_id = r.id AND status = 'succeeded' AND epoch = r.epoch) AS won
     FROM rollouts r WHERE r.run_id = ?`,
    runId
  )
  for (const { live, status, version, won } of rollouts) {
    assert.strictEqual(live, status === "preparing" || status === "running" ? 1 : 0, "I1, I9, I10")
    assert.strictEqual(won, status === "succeeded" ? 1 : 0, "I8")
    assert.strictEqual(version, resourcesVersion, "a rollout keeps the version it was enqueued with")
    if (isCancelled) assert.include(["succeeded", "failed", "cancelled"], status)
  }
}

/** The test runner has things to say meanwhile. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

const lookAtChain = () => {
  let before = ""
  for (
    const { hash, n, prevHash, ...row } of rows<Audited & { n: number; prevHash: string; hash: string }>(
      `SELECT n, at_ms AS atMs, principal, action, action_key AS actionKey, lifecycle_state AS lifecycleState, idempotent,
         decision, detail, outcome, rollback_checkpoint AS rollbackCheckpoint, checkpoint_source AS checkpointSource,
         prev_hash AS prevHash, hash FROM control_log ORDER BY n`
    )
  ) {
    assert.strictEqual(prevHash, before)
    assert.strictEqual(hash, auditHash(before, n, row), "I25: the chain is unbroken")
    before = hash
  }
}

describe("control verbs among the work of a run", () => {
  it.each(Array.from({ length: parts }, (_, index) => index + 1))(
    `keep every promise in ${ordersPerPart} orders of pause, cancel, rollback, claims, heartbeats and ends, part %i`,
    async (part) => {
      const property = FastCheck.asyncProperty(story, (told) => {
        play(told)
        return nextTurn()
      })
      const outcome = await FastCheck.check(property, { numRuns: ordersPerPart, seed: testSeed + part })
      assert.isFalse(outcome.failed, FastCheck.defaultReportMessage(outcome) ?? "")
      lookAtChain()
    },
    120_000
  )
})
