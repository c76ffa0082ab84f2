/** The proxy of a run's own, and what the run's agents know of it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomBytes } from "node:crypto"
import { dirname, join } from "node:path"
import { reachable } from "../http/HostName.js"
import type { Status } from "../proxy/Health.js"
import { Proxy } from "../proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../proxy/ProxyOptions.js"
import { RequestSecrets } from "../proxy/RequestSecrets.js"
import { AgentEndpoint } from "../runtime/AgentEndpoint.js"
import type { Announcer } from "../runtime/Announcer.js"

export type RunProxyOptions = ProxyOptions & { readonly clientKey: string; readonly attributionLogPath: string }

/** Takes the run's own key and no other, and makes no call that it cannot record. */
export const runProxy = (
  { bind, say, storePath, timeoutMs, upstream }: Pick<ProxyOptions, "bind" | "timeoutMs"> & {
    readonly upstream: { readonly url: string; readonly key: string | undefined }
    readonly storePath: string
    readonly say: Announcer["Type"]["say"]
  }
): RunProxyOptions => ({
  bind,
  upstreamUrl: upstream.url,
  timeoutMs,
  attributionRequired: true,
  clientKey: `tau-run-${randomBytes(16).toString("hex")}`,
  upstreamKey: upstream.key ?? null,
  attributionLogPath: join(dirname(storePath), "proxy-attribution.jsonl"),
  recordPolicy: "required",
  onDisconnect: "cancel",
  // Where the run's progress is redrawn, a warning has a line of its own.
  warn: (message) => Effect.runSync(say(message)),
  limits: defaultLimits
})

/** How long a run's proxy waits for more of an answer: a model that thinks sends nothing for minutes, and the attempt's limit ends that. */
export const patienceMs = (attemptSecs: number): number => Math.max(30_000, attemptSecs * 1_000)

/** Where the run's agents call their model. `upstreamKeys` are those of all models that the run asks. */
export const agentEndpoint = (model: string, apiKey: string, upstreamKeys: ReadonlyArray<string | undefined>) =>
  Layer.effect(
    AgentEndpoint,
    Effect.map(Proxy, ({ health, origin }) => ({
      origin: reachable(origin),
      apiKey,
      secrets: upstreamKeys.flatMap((key) => key === undefined ? [] : new RequestSecrets([]).of([], "/", key)),
      model,
      refusal: () => {
        const { status, storeFailure } = health()
        return passing.has(status) ? storeFailure : null
      }
    }))
  )

const passing: ReadonlySet<Status> = new Set<Status>(["storage_full", "store_locked", "store_busy", "recording_full"])
