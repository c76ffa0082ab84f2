import * as Schema from "effect/Schema"
import { RolloutId } from "../domain/Ids.js"
import { RolloutStatus } from "../domain/Rollout.js"

/** The database refused. Nothing of the operation was kept. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  operation: Schema.String,
  reason: Schema.Literal("locked", "full", "corrupt", "read-only", "foreign", "gone", "io", "other"),
  detail: Schema.String
}) {
  override get message() {
    const why = isUnbuilt(this.detail) ? unbuilt : `${explanations[this.reason]}${this.detail}`
    return `${this.operation} failed: ${why}`
  }
}

/** An installation without install scripts leaves SQLite out, and `bindings` names the dozen places where it looked. */
const isUnbuilt = (detail: string): boolean => detail.includes("Could not locate the bindings file")

const unbuilt = "better-sqlite3 was not built when it was installed: npm rebuild better-sqlite3 builds it"

const explanations: Record<StoreError["reason"], string> = {
  locked: "the store is locked by another process: ",
  full: "the disk is full: ",
  corrupt: "the store is damaged: ",
  "read-only": "the store cannot be written: ",
  foreign: "not a tau store: ",
  gone: "the store is gone: ",
  io: "the disk does not answer as it should: ",
  other: ""
}

/** The lease ended and somebody else may own the rollout: the write was refused and changed nothing. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  rolloutId: RolloutId,
  epoch: Schema.Int,
  status: RolloutStatus
}) {
  override get message() {
    return `the lease on ${this.rolloutId} (epoch ${this.epoch}) is lost: the rollout is ${this.status}`
  }
}

/** A move that the rollout's state machine does not have: the row stays as it was. */
export class IllegalMove extends Schema.TaggedError<IllegalMove>()("IllegalMove", {
  rolloutId: RolloutId,
  from: RolloutStatus,
  to: RolloutStatus
}) {
  override get message() {
    return `${this.rolloutId} cannot move from ${this.from} to ${this.to}`
  }
}

/** Another process holds what only one may hold. */
export class StoreBusy extends Schema.TaggedError<StoreBusy>()("StoreBusy", {
  path: Schema.String,
  holder: Schema.String
}) {
  override get message() {
    return `another run is live on ${this.path}: ${this.holder}`
  }
}
