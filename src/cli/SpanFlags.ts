/** Which spans are meant, on the command line. Loads no Effect. */
import { spanKinds, spanStates } from "../domain/Lifecycle.js"
import { callRoles } from "../openai/CallRole.js"
import type { SpanFilter } from "../store/SpanStore.js"
import type { Flag } from "./flags.js"
import { Mistake, readTime } from "./FlagValue.js"
import type { GivenFlags } from "./GivenFlags.js"
import { choice, choiceOf, failed, optional, text, textOf, time } from "./ReadingFlags.js"

export const spanFlags: ReadonlyArray<Flag> = [
  text("run", "ID", "Only calls of this run"),
  text("rollout", "ID", "Only calls of this rollout or capture session"),
  text("attempt", "ID", "Only calls of this attempt"),
  choice("kind", spanKinds, "Only this kind of call"),
  choice("state", spanStates, "Only calls that ended so"),
  text("model", "NAME", "Only calls that this model answered"),
  choice("role", callRoles, "Only calls with this part in the agent's work"),
  text("session", "ID", "Only calls of this session: by the agent's own name, its attempt or its first call"),
  failed("Only calls that did not end well, or were answered with an error"),
  time("since", "Only calls that began then or later: a date, or an age such as 15m, 2h, 3d"),
  time("until", "Only calls that began before")
]

/** From when to when. */
const spanTimes = (flags: GivenFlags): Pick<SpanFilter, "sinceMs" | "untilMs"> => {
  const nowMs = Date.now()
  const sinceMs = optional(flags, "since", (given) => readTime(given, nowMs))
  const untilMs = optional(flags, "until", (given) => readTime(given, nowMs))
  if (sinceMs !== null && untilMs !== null && sinceMs >= untilMs) {
    const [since, until] = [flags.get("since").source, flags.get("until").source]
    throw new Mistake(`${since} is not before ${until}: no call began between them`)
  }
  return { sinceMs, untilMs }
}

export const readSpanFilter = (flags: GivenFlags): SpanFilter => ({
  runId: textOf(flags, "run"),
  captured: false,
  rolloutId: textOf(flags, "rollout"),
  attemptId: textOf(flags, "attempt"),
  kind: choiceOf(flags, "kind", spanKinds),
  state: choiceOf(flags, "state", spanStates),
  model: textOf(flags, "model"),
  session: textOf(flags, "session"),
  spanIds: null,
  role: choiceOf(flags, "role", callRoles),
  failed: flags.isOn("failed"),
  ...spanTimes(flags)
})

/** Which calls of agents are meant, where their kind and their end are not the question. */
export const trafficFlags: ReadonlyArray<Flag> = [
  text("run", "ID", "Calls of this run; without it only what a proxy captured"),
  text("rollout", "ID", "Only calls of this rollout, of a run too, or capture session"),
  ...spanFlags.filter(({ name }) => ["model", "session", "since", "until"].includes(name))
]

/** A run answers with whatever texts it tries: its calls are taken only where they are named. */
export const readTrafficFilter = (flags: GivenFlags): SpanFilter => {
  const runId = textOf(flags, "run")
  const rolloutId = textOf(flags, "rollout")
  return {
    runId,
    captured: runId === null && rolloutId === null,
    rolloutId,
    attemptId: null,
    kind: null,
    state: null,
    model: textOf(flags, "model"),
    session: textOf(flags, "session"),
    spanIds: null,
    role: null,
    failed: false,
    ...spanTimes(flags)
  }
}
