import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ControlVerb } from "../../src/domain/Control.js"
import * as Control from "../../src/runtime/Control.js"
import { readAudit } from "../../src/runtime/ControlFiles.js"
import { AuditTrail } from "../../src/store/AuditTrail.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { RunStanding } from "../../src/store/RunStanding.js"
import { beginRun, withControl } from "../support/control.js"

const policy = {
  schema_version: 1,
  team_mode: true,
  bindings: [
    { principal: "vera", roles: ["viewer"] },
    { principal: "otto", roles: ["viewer", "operator"] },
    { principal: "ada", roles: ["admin"] },
    { principal: "mixed", roles: ["admin", "no-cancel"] },
    { principal: "idle", roles: ["nothing"] }
  ],
  roles: {
    viewer: { allow: ["control:rl:status"] },
    operator: { allow: ["control:rl:pause", "control:rl:resume"] },
    admin: { allow: ["*"] },
    "no-cancel": { deny: ["control:rl:cancel"] },
    nothing: {}
  }
}

/** Who may do what: the table that the policy means. */
const table: Record<string, { readonly may: ReadonlyArray<string>; readonly else: string }> = {
  "": { may: [], else: "deny_principal_missing" },
  nobody: { may: [], else: "deny_unbound_principal" },
  idle: { may: [], else: "deny_no_matching_permission" },
  vera: { may: ["status"], else: "deny_no_matching_permission" },
  otto: { may: ["status", "pause", "resume"], else: "deny_no_matching_permission" },
  mixed: { may: ["status", "pause", "resume", "rollback"], else: "deny_role_permission" },
  ada: { may: ["status", "pause", "resume", "cancel", "rollback"], else: "never" }
}

const checkpoint = {
  checkpoint_version: 1,
  run_id: "run-0001-c0ffee",
  policy_state: { resources_version: 1 },
  optimizer_state: {},
  global_step: 0,
  optimizer_step: 0,
  saved_at_unix_seconds: 1
}

/** What the command does once the policy has spoken. */
const ask = (stateDir: string, principal: string, verb: ControlVerb) =>
  Effect.gen(function*() {
    const decision = yield* Control.authorize(join(stateDir, "rbac.json"), principal, verb)
    const request = { stateDir, principal, decision }
    if (!decision.allowed) return yield* Control.deny(request, verb)
    if (verb === "status") return yield* Control.status(request)
    return yield* Control.carryOut(
      verb === "rollback" ? { ...request, verb, checkpoint: join(stateDir, "c.json") } : { ...request, verb }
    )
  })

const standing = Effect.flatMap(RunStanding, ({ now }) => now)
const audit = Effect.flatMap(AuditTrail, (trail) => trail.after(0, 1_000))

describe("every verb for every role", () => {
  it.scoped(
    "is allowed exactly where the policy's table says so; every refusal is audited and changes nothing",
    () =>
      withControl((folder) =>
        Effect.gen(function*() {
          writeFileSync(join(folder, "rbac.json"), JSON.stringify(policy))
          writeFileSync(join(folder, "c.json"), JSON.stringify(checkpoint))
          let expectedRows = 0
          for (const [principal, { else: reason, may }] of Object.entries(table)) {
            for (const verb of ControlVerb.literals) {
              yield* beginRun(1, `${principal}${verb}`.padEnd(6, "0"))
              const before = yield* standing
              const outcome = yield* Effect.either(ask(folder, principal, verb))
              const allowed = may.includes(verb)
              assert.strictEqual(outcome._tag, allowed ? "Right" : "Left", `${verb} by ${principal}`)
              if (!allowed || verb !== "status") expectedRows += 1
              const rows = yield* audit
              assert.strictEqual(rows.length, expectedRows)
              if (allowed) continue
              assert.deepStrictEqual(yield* standing, before)
              assert.deepInclude({ ...rows.at(-1) }, { principal, action: verb, decision: reason, outcome: "denied" })
              assert.deepInclude((yield* readAudit(folder)).at(-1), { principal, action: verb, decision: reason })
            }
          }
        })
      ),
    60_000
  )

  it.scoped("is refused, and changes nothing, when it cannot be audited", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        // In the way of the audit file: nothing can be appended to a folder.
        mkdirSync(join(folder, "control-audit.jsonl"))
        for (const verb of ["pause", "resume", "cancel"] as const) {
          const decision = { allowed: true, reason: "allow_team_mode_disabled" } as const
          const error = yield* Effect.flip(Control.carryOut({ stateDir: folder, principal: "ada", decision, verb }))
          assert.include(error.message, "control-audit.jsonl: a folder stands where a file was expected")
        }
        assert.deepInclude((yield* standing).run, { desired: "run", state: "running" })
        assert.deepStrictEqual((yield* audit).map(({ outcome }) => outcome), ["failed", "failed", "failed"])
        rmSync(join(folder, "control-audit.jsonl"), { recursive: true })
        const log = yield* ControlLog
        yield* log.record({ verb: "pause", principal: "x", decision: "x", detail: "x", outcome: "failed" })
        yield* Effect.flip(ask(folder, "ada", "rollback"))
        assert.strictEqual(readFileSync(join(folder, "control-audit.jsonl"), "utf8").trim().split("\n").length, 5)
      })
    ))
})
