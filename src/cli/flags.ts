/** Every flag of the command, once: parsing, help and `docs/cli.md` are made from these tables. Loads no Effect. */
import { defaultStore } from "../domain/CommandText.js"
import type { ControlVerb } from "../domain/Control.js"
import { timerMsMax } from "../domain/timerMsMax.js"

/** The ways to use the command by flags alone. */
export type ModeName = "proxy" | "optimize" | "control"

export type ValueKind =
  | { readonly kind: "switch" }
  | { readonly kind: "path" }
  /** Any text, also an empty one. */
  | { readonly kind: "text" }
  | { readonly kind: "url" }
  | { readonly kind: "bind" }
  | { readonly kind: "model" }
  | { readonly kind: "choice" }
  | { readonly kind: "limits" }
  | { readonly kind: "number"; readonly min: number; readonly max: number }
  /** A date, or how long ago. */
  | { readonly kind: "time" }
  /** A whole number; `unit` is what it counts, in the plural, and may be empty. */
  | { readonly kind: "integer"; readonly min: number; readonly max: number; readonly unit: string }

export interface Flag {
  /** Without the leading dashes. */
  readonly name: string
  readonly value: ValueKind
  /** How the help calls the value. */
  readonly placeholder?: string
  readonly default?: string
  readonly description: string
  /** The sub-command that it belongs to; none for the flags of the modes. */
  readonly command?: string
  /** The variable that stands in for it, where several commands share one. */
  readonly variable?: string
}

export interface RootFlag extends Flag {
  /** Modes in which the flag means something; anywhere else it is a usage error. */
  readonly modes: ReadonlyArray<ModeName>
  /** Giving the flag chooses this mode. */
  readonly selects?: ModeName
}

/** Below what service managers wait between SIGTERM and SIGKILL, handing back included. */
export const drainMsDefault = 10_000

const p = "prompt-optimization"
export const path = { kind: "path" } as const
export const milliseconds = (min: number) => ({ kind: "integer", min, max: timerMsMax, unit: "milliseconds" }) as const

const verbs: Record<Exclude<ControlVerb, "rollback">, string> = {
  status: "Say how the run stands",
  pause: "Start no new attempts; let running ones finish",
  resume: "Let a paused run go on; of one that no process works on, check what is there and say how to continue it",
  cancel: "Stop the run and cancel what is left of it"
}

export const rootFlags: ReadonlyArray<RootFlag> = [
  {
    name: "model",
    value: { kind: "model" },
    placeholder: "PROVIDER/MODEL",
    description: "Model that rollouts call, and the identity in reports, e.g. openai/gpt-4o-mini",
    modes: ["optimize", "proxy", "control"]
  },
  {
    name: `${p}-config`,
    value: path,
    placeholder: "FILE",
    description: "Run the optimization in this JSON config, then exit",
    modes: ["optimize"],
    selects: "optimize"
  },
  {
    name: `${p}-store-sqlite`,
    value: path,
    placeholder: "FILE",
    default: defaultStore,
    description: "The durable store; the status file is written beside it",
    modes: ["optimize"]
  },
  {
    name: `${p}-json`,
    value: { kind: "switch" },
    description: "Print the summary as JSON on stdout",
    modes: ["optimize"]
  },
  {
    name: "dry-run",
    value: { kind: "switch" },
    description: "Say what the run may cost and what its gate can find, and write nothing",
    modes: ["optimize"]
  },
  {
    name: "force",
    value: { kind: "switch" },
    description:
      "Make the best version found the latest even if the gate does not promote it; recorded as forced; needs a search",
    modes: ["optimize"]
  },
  {
    name: `${p}-drain-ms`,
    value: milliseconds(0),
    placeholder: "MS",
    default: `${drainMsDefault}`,
    description: "How long attempts under way may go on after SIGTERM or SIGINT; what is left is handed back",
    modes: ["optimize"]
  },
  {
    name: `${p}-proxy-server`,
    value: { kind: "switch" },
    description: "Run the recording proxy until SIGINT or SIGTERM",
    modes: ["proxy"],
    selects: "proxy"
  },
  {
    name: `${p}-proxy-state-dir`,
    value: path,
    placeholder: "DIR",
    default: ".tau",
    description: "State root: DIR/training/store.sqlite and DIR/training/proxy-attribution.jsonl",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-bind`,
    value: { kind: "bind" },
    placeholder: "HOST:PORT",
    default: "127.0.0.1:8788",
    description: "Where the proxy listens; port 0 picks a free one, as an optimization does by default",
    modes: ["proxy", "optimize"]
  },
  {
    name: `${p}-proxy-upstream-url`,
    value: { kind: "url" },
    placeholder: "URL",
    description: "OpenAI-compatible base URL, with or without /v1; by default OPENAI_BASE_URL, "
      + "else the provider of --model",
    modes: ["proxy", "optimize"]
  },
  {
    name: `${p}-proxy-timeout-ms`,
    value: milliseconds(1),
    placeholder: "MS",
    default: "30000",
    description: "How long the upstream may stay silent; never a cap on a whole stream",
    modes: ["proxy", "optimize"]
  },
  {
    name: `${p}-proxy-record-policy`,
    value: { kind: "choice" },
    placeholder: "required|best-effort",
    default: "required",
    description: "While the store cannot record calls: refuse them, or forward them and count what is lost",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-on-disconnect`,
    value: { kind: "choice" },
    placeholder: "cancel|drain",
    default: "cancel",
    description: "When a client leaves: cancel the upstream's answer, or read it on to record what it cost",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-stream-usage`,
    value: { kind: "choice" },
    placeholder: "as-sent|ask",
    default: "as-sent",
    description: "Streams whose client does not ask for their usage: as they are, or asked and kept from the client",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-limits`,
    value: { kind: "limits" },
    placeholder: "NAME=N,...",
    description: "Limits by name, e.g. callsMax=64,queueMs=5000: see docs/operations.md",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-store-max-bytes`,
    value: { kind: "integer", min: 1_048_576, max: Number.MAX_SAFE_INTEGER, unit: "bytes" },
    placeholder: "N",
    description: "Largest size of the store; when it is reached, the store counts as full",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-record`,
    value: { kind: "choice" },
    placeholder: "full|metadata",
    default: "full",
    description: "Record calls whole, or without their bodies and anything that quotes them",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-rewrite`,
    value: path,
    placeholder: "FILE",
    description: "Config whose rewrite rules put promoted texts in the place of the agent's own: see docs/rewrite.md",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-redact`,
    value: path,
    placeholder: "FILE",
    description: "JSON file of patterns and JSON paths that are taken out of what is recorded: see docs/security.md",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-redact-defaults`,
    value: { kind: "choice" },
    placeholder: "on|off",
    default: "on",
    description: "Take what looks like a key or token out of what is recorded",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-require-key`,
    value: { kind: "switch" },
    description: "Ask for a key of tau keys on loopback too; on any other address it always is",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-upstream-key-env`,
    value: { kind: "text" },
    placeholder: "NAME",
    description: "Variable with the upstream's key, which takes the place of whatever key a client shows",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-allowed-hosts`,
    value: { kind: "text" },
    placeholder: "NAME,...",
    description: "Further host names under which clients may call, e.g. host.docker.internal",
    modes: ["proxy"]
  },
  {
    name: `${p}-proxy-allowed-origins`,
    value: { kind: "text" },
    placeholder: "ORIGIN,...",
    description: "Web pages that may call, by origin, e.g. https://app.example; none by default",
    modes: ["proxy"]
  },
  ...(["status", "pause", "resume", "cancel"] as const).map((verb): RootFlag => ({
    name: `${p}-control-${verb}`,
    value: { kind: "switch" },
    description: verbs[verb],
    modes: ["control"],
    selects: "control"
  })),
  {
    name: `${p}-control-rollback`,
    value: path,
    placeholder: "FILE",
    description: "Make the resources of this policy checkpoint the latest",
    modes: ["control"],
    selects: "control"
  },
  {
    name: `${p}-control-state-dir`,
    value: path,
    placeholder: "DIR",
    default: ".tau/training",
    description: "Where the control and recovery files live",
    modes: ["control"]
  },
  {
    name: `${p}-control-json`,
    value: { kind: "switch" },
    description: "Print the answer as JSON on stdout",
    modes: ["control"]
  },
  {
    name: `${p}-control-principal`,
    value: { kind: "text" },
    placeholder: "NAME",
    default: "local:<user>",
    description: "Who asks, for the policy",
    modes: ["control"]
  },
  {
    name: `${p}-control-rbac-policy`,
    value: path,
    placeholder: "FILE",
    default: ".tau/security/rbac.json",
    description: "Who may use which verb; no file means everybody may",
    modes: ["control"]
  }
]

/** The variable that stands in for a flag: `TAU_MODEL`, and `TAU_SIMULATE_SEED` for `tau simulate --seed`. */
export const variableOf = (flag: Flag): string => {
  if (flag.variable !== undefined) return flag.variable
  const words = flag.command === undefined ? flag.name : `${flag.command}-${flag.name}`
  return `TAU_${words.toUpperCase().replaceAll("-", "_")}`
}

/** Old names, still accepted, without the leading dashes. */
export const aliases: ReadonlyMap<string, string> = new Map([
  ["train-config", `${p}-config`],
  ["train-store-sqlite", `${p}-store-sqlite`],
  ["train-json", `${p}-json`],
  ...["server", "bind", "upstream-url", "state-dir", "timeout-ms"].map((end) =>
    [`training-proxy-${end}`, `${p}-proxy-${end}`] as const
  )
])

/** What the words of a switch's value mean, in a variable or after `=`. */
export const switchWords: ReadonlyMap<string, boolean> = new Map([
  ...["1", "true", "yes", "on"].map((word) => [word, true] as const),
  ...["0", "false", "no", "off", ""].map((word) => [word, false] as const)
])
