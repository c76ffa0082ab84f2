/** What the command line asks for, checked and with its defaults filled in. */
import type { ControlVerb } from "../domain/Control.js"
import type { ProxyLimits } from "../proxy/ProxyOptions.js"
import type { CommandMode } from "./Command.js"

export interface ModelRef {
  readonly provider: string
  /** May itself contain slashes, as OpenRouter's names do. */
  readonly name: string
}

export interface Bind {
  /** A name or address; IPv6 without its brackets. */
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
}

export interface OptimizeMode {
  readonly _tag: "optimize"
  readonly model: ModelRef
  /** The model as it was written, `provider/name`. */
  readonly modelRef: string
  readonly configPath: string
  readonly storePath: string
  /** The store of `TAU_STORE`, where other commands look, when the run has another that nobody chose. */
  readonly storeElsewhere?: string
  readonly json: boolean
  /** Only say what the run may cost. */
  readonly dryRun: boolean
  /** The best version found becomes the latest, whatever the gate says. */
  readonly force: boolean
  readonly drainMs: number
  readonly proxy: {
    readonly bind: Bind
    /** What the flag says; the config, `OPENAI_BASE_URL` and the provider come after it: `chooseUpstream` decides. */
    readonly upstreamUrl?: string
    /** What the flag says. Without it the run's proxy is as patient as an attempt, and never less than the flag's default. */
    readonly timeoutMs?: number
  }
}

export interface ProxyMode {
  readonly _tag: "proxy"
  readonly bind: Bind
  /** Absent only when the model's provider is `sim`, which runs inside the process. */
  readonly upstreamUrl?: string
  readonly model?: ModelRef
  readonly stateDir: string
  /** In the state root. */
  readonly storePath: string
  /** As a run's. */
  readonly storeElsewhere?: string
  readonly timeoutMs: number
  readonly recordPolicy: "required" | "best-effort"
  readonly onDisconnect: "cancel" | "drain"
  readonly streamUsage: "as-sent" | "ask"
  /** The limits that were given; the others have their defaults. */
  readonly limits: Partial<ProxyLimits>
  /** Null leaves the size of the store to the disk. */
  readonly storeBytesMax: number | null
  /** False keeps no bodies. */
  readonly payloads: boolean
  readonly rewritePath?: string
  readonly redactPath?: string
  readonly redactDefaults: boolean
  readonly requireKey: boolean
  /** The upstream's key, for calls that showed a key of tau; from the environment. Secret. */
  readonly upstreamKey: string | null
  /** It takes the place of every client's key. */
  readonly upstreamKeyAlways: boolean
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
}

export interface ControlMode {
  readonly _tag: "control"
  readonly verb: ControlVerb
  /** Present when the verb is `rollback`. */
  readonly checkpoint?: string
  readonly stateDir: string
  readonly json: boolean
  /** May be empty; the policy decides what that means. */
  readonly principal: string
  readonly rbacPolicyPath: string
}

export type Mode = OptimizeMode | ProxyMode | ControlMode | CommandMode
