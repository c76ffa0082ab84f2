/**
 * Bugs to be seeded into the store, each a change of text in a built module of `store/writer`, with what must find it: the
 * queue's model or the simulation. A mutant that changes nothing anybody could see is `equivalent`, and says why.
 */
export interface Mutant {
  readonly name: string
  readonly module: "rollouts" | "backoff" | "resources" | "control" | "processes" | "runs" | "spans" | "spanAttributes"
  /** Occurs once in the module. */
  readonly find: string
  readonly replace: string
  readonly killedBy: "model" | "simulation" | { readonly equivalent: string }
}

const rollouts = (
  name: string,
  find: string,
  replace: string,
  killedBy: Mutant["killedBy"] = "model"
): Mutant => ({ module: "rollouts", name, find, replace, killedBy })

const elsewhere = (module: Mutant["module"], name: string, find: string, replace: string): Mutant => ({
  module,
  name,
  find,
  replace,
  killedBy: "model"
})

export const mutants: ReadonlyArray<Mutant> = [
  rollouts("stale epochs are not refused", "if (row.epoch !== epoch || !held)", "if (!held)"),
  rollouts(
    "a late success is taken",
    `const refusal = refuse(db, input, "succeeded");`,
    `let refusal = refuse(db, input, "succeeded"); if (refusal?._tag === "LeaseLost") refusal = null;`
  ),
  rollouts("a move that the state machine lacks", "return canMoveRollout(row.status, to) ?", "return true ?"),
  rollouts("a claim keeps the epoch", "r.epoch + 1 AS epoch", "r.epoch AS epoch"),
  rollouts("claims what is not due", "r.run_at_ms <= ?", "r.run_at_ms <= ? + 100000"),
  rollouts("claims while paused", "(SELECT desired FROM runs WHERE id = r.run_id) = 'run'", "1"),
  rollouts("claims in no order of priority", "ORDER BY r.priority DESC, r.run_at_ms, r.ordinal", "ORDER BY r.ordinal"),
  rollouts(
    "claims what another holds",
    "r.status IN ('queuing', 'requeuing') AND r.run_at_ms",
    "r.status IN ('queuing', 'requeuing', 'preparing') AND r.run_at_ms"
  ),
  rollouts("a claim's lease has ended when it begins", "workerId, db.now + leaseMs, row", "workerId, db.now, row"),
  rollouts("sweeps live leases", "lease_until_ms < ? LIMIT", "lease_until_ms < ? + 900 LIMIT"),
  rollouts("never sweeps", "lease_until_ms < ? LIMIT", "lease_until_ms < ? - 100000000 LIMIT"),
  rollouts("sweeps the caller's own leases", "    renew(db, own, leaseMs);\n", ""),
  rollouts(
    "a sweep forgets the attempt",
    `WHERE rollout_id = ? AND epoch = ?").get(id, epoch)`,
    `WHERE rollout_id = ? AND epoch = ? AND 0").get(id, epoch)`
  ),
  rollouts("a crash is charged to the agent", "SET crashes = crashes + 1, error", "SET failures = failures + 1, error"),
  rollouts("a poison rollout is never given up", "crashes + 1 >= crashesMax", "false", "simulation"),
  rollouts("attempts over the maximum", "failures >= (row?.attemptsMax ?? 0)", "failures > (row?.attemptsMax ?? 0)"),
  rollouts("tries again what cannot succeed", "input.permanent || ", ""),
  rollouts(
    "failures are not counted",
    ".run(failures, input.error, input.rolloutId)",
    ".run(failures - 1, input.error, input.rolloutId)"
  ),
  rollouts("a failed rollout is due at once", "Math.max(backoffMs(input.rolloutId, failures)", "Math.max(0"),
  elsewhere("backoff", "pauses do not grow", "baseMs * 2 ** (failures - 1)", "baseMs"),
  rollouts(
    "handing back charges the agent",
    "requeue(db, fence.rolloutId, db.now);",
    `db.prepare("UPDATE rollouts SET failures = failures + 1 WHERE id = ?").run(fence.rolloutId); requeue(db, fence.rolloutId, db.now);`
  ),
  rollouts("putting back keeps the owner", "status = 'requeuing', owner = NULL,", "status = 'requeuing',"),
  rollouts(
    "cancels what is finished",
    "WHERE run_id = ? AND status IN ('queuing', 'requeuing', 'preparing', 'running')",
    "WHERE run_id = ?"
  ),
  rollouts("cancels without a fence", "SET status = 'cancelled', epoch = epoch + 1,", "SET status = 'cancelled',"),
  rollouts("a cancelled run's attempts live on", "for (const { id } of live)", "for (const { id } of [])"),
  rollouts("a heartbeat of an old epoch counts", " AND rollouts.epoch = lease.value ->> 'epoch'", ""),
  rollouts(
    "a heartbeat gives a finished rollout a lease",
    "\n       AND rollouts.status IN ('preparing', 'running')\n     RETURNING",
    "\n     RETURNING"
  ),
  rollouts("a heartbeat renews nothing", "max(lease_until_ms, ?)", "max(lease_until_ms, ? * 0)"),
  rollouts("a heartbeat may shorten a lease", "max(lease_until_ms, ?)", "?", {
    equivalent:
      "the store's time never falls and all leases of a process are equally long, so the new end is the later one"
  }),
  rollouts("rewards are replaced", "INSERT INTO rewards", "INSERT OR REPLACE INTO rewards", {
    equivalent: "the fence lets an attempt succeed once, and no two of its rewards share a name"
  }),
  elsewhere(
    "resources",
    "two versions are the latest",
    "SET is_latest = 0 WHERE is_latest = 1",
    "SET is_latest = 0 WHERE 0"
  ),
  elsewhere("resources", "known text becomes a new version", "if (known !== undefined)", "if (false)"),
  elsewhere(
    "resources",
    "a rollback marks nothing",
    "SET is_latest = 1 WHERE version = ?",
    "SET is_latest = 1 WHERE version = ? + 1"
  ),
  elsewhere("control", "a pause is not written", `desire(db, run, "pause");`, ""),
  elsewhere(
    "control",
    "a verb leaves no line",
    "append(db, input, {\n        ...applied,",
    "void ({\n        ...applied,"
  ),
  elsewhere(
    "control",
    "a cancel leaves the rollouts to the live process",
    "const rollouts = cancelRun(db, { runId: run.runId });",
    "const rollouts = isWorkedOn(run, db.now) ? 0 : cancelRun(db, { runId: run.runId });"
  ),
  elsewhere(
    "processes",
    "a resume forgets what was held",
    "status IN ('preparing', 'running')",
    "status IN ('running')"
  ),
  elsewhere("runs", "a resume keeps due times of another clock", "    correctDueTimes(db, run.id);\n", ""),
  elsewhere("runs", "a resume takes up what was cancelled", "AND desired = 'cancel'", "AND desired = 'cancel' AND 0"),
  elsewhere("runs", "the same rollouts are enqueued twice", "earlier ?? createRun(db, input)", "createRun(db, input)"),
  elsewhere("spanAttributes", "late calls are not marked", "owner.isLive === 0", "false"),
  elsewhere(
    "spans",
    "calls leave gaps",
    "coalesce(max(sequence_id), 0) + 1 FROM",
    "coalesce(max(sequence_id), 0) + 2 FROM"
  )
]
