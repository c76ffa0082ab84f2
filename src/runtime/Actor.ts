/**
 * An actor: a supervised fiber with a mailbox and private state. `Supervisor` starts it, watches it and starts it again.
 *
 * The mailbox belongs to the place in the tree, not to the fiber in it: what waits there survives a restart, and what the
 * fiber had taken out dies with it, so that a message that kills does so once. Private state is made anew at every start.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * `pause` and `resume`: take no new work, and take it again. `drain`: finish what is under way, then end. `look`: there is
 * something to do now.
 */
export type Message = "pause" | "resume" | "drain" | "look"

/** More than anybody is told while it carries one rollout through. */
const mailboxCapacity = 16

/**
 * A bounded queue of messages. Nobody who tells something ever waits: in a full mailbox the oldest message gives way, and is
 * counted. The last word counts, so that what is left is what matters.
 */
export class Mailbox {
  readonly capacity = mailboxCapacity
  dropped = 0
  private messages: Array<Message> = []
  private readonly filled = Effect.unsafeMakeLatch(false)

  offer(message: Message): void {
    if (this.messages.length >= this.capacity) {
      this.dropped += 1
      this.messages.shift()
    }
    this.messages.push(message)
    this.filled.unsafeOpen()
  }

  /** Everything that waits, the oldest first; leaves the mailbox empty. */
  takeAll(): ReadonlyArray<Message> {
    const taken = this.messages
    this.messages = []
    this.filled.unsafeClose()
    return taken
  }

  /** Completes when something waits, and takes nothing: a wait that is given up loses no message. */
  get arrived(): Effect.Effect<void> {
    return this.filled.await
  }

  get size(): number {
    return this.messages.length
  }
}

/** What an actor is busy with, for `tau inspect tree`. */
export const Work = Schema.Struct({
  rolloutId: Schema.String,
  attempt: Schema.Int,
  sinceMs: Schema.Number
})
export type Work = typeof Work.Type

/** What an actor knows of itself. The supervisor provides it. */
export class Self extends Context.Tag("tau/runtime/Self")<Self, {
  readonly mailbox: Mailbox
  /** Says what it works on; null when it waits. */
  readonly workOn: (work: Work | null) => Effect.Effect<void>
  /** Puts a message in the mailboxes of a group of neighbours. */
  readonly tell: (group: string, message: Message) => void
}>() {}

/**
 * `finished`: it ended by itself, its work done. `restarting`: it died and is about to be started again. `failed`: it kept
 * dying. `abandoned`: it was told to stop and did not within its grace.
 */
export const ActorState = Schema.Literal(
  "starting",
  "running",
  "restarting",
  "finished",
  "failed",
  "stopping",
  "stopped",
  "abandoned"
)
export type ActorState = typeof ActorState.Type

/** An actor as it is shown to those who ask. */
export const ActorReport = Schema.Struct({
  name: Schema.String,
  state: ActorState,
  /** When the present fiber was started; null before the first start. */
  startedAtMs: Schema.NullOr(Schema.Number),
  restarts: Schema.Int,
  /** Why it died last, in one line. */
  lastDeath: Schema.NullOr(Schema.String),
  /** Null for what takes no messages. */
  mailbox: Schema.NullOr(Schema.Struct({ size: Schema.Int, capacity: Schema.Int, dropped: Schema.Int })),
  work: Schema.NullOr(Work),
  /** What else there is to say, in a few words. */
  detail: Schema.NullOr(Schema.String)
})
export type ActorReport = typeof ActorReport.Type
