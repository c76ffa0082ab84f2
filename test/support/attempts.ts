import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { WorkerId } from "../../src/domain/Ids.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import type { ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { type Claim, RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStore } from "../../src/store/RunStore.js"
import { proxyAt } from "./proxy.js"
import { scratchFolder } from "./store.js"
import { eventually } from "./upstream.js"

const stores = Layer.mergeAll(RunStore.layer, RolloutQueue.layer)

/** Runs a test with the proxy of a run, over a store of its own. */
export const withRunProxy = <A, E, R>(
  upstreamUrl: string,
  test: Effect.Effect<A, E, R>,
  options: Partial<ProxyOptions> = { replay: "after-crash" }
) =>
  Effect.flatMap(scratchFolder, (folder) => {
    const proxy = proxyAt(join(folder, "store.sqlite"), upstreamUrl, options)
    return Effect.provide(test, Layer.provideMerge(stores, proxy))
  })

/** What such a test may ask for. */
export type InRun = Layer.Layer.Success<typeof stores> | Layer.Layer.Success<ReturnType<typeof proxyAt>> | Scope.Scope

/** The one rollout of a run, begun here or earlier in this store. */
const theRun = (resources: Resources) =>
  Effect.flatMap(RunStore, (runs) =>
    runs.begin({
      configHash: Buffer.from(JSON.stringify(resources)).toString("hex"),
      config: {},
      configPath: "config.json",
      modelRef: "fake/model",
      resources,
      rollouts: [{ mode: "train", input: { prompt: "go" } }],
      attemptsMax: 9
    }))

type Resources = Readonly<Record<string, unknown>>

export interface LiveAttempt {
  readonly claim: Claim
  /** Where its agent calls, ending in `/v1`. */
  readonly url: string
}

/** The next attempt of the rollout with these resources, once it is due. One under way counts as its process's that died. */
export const attemptWith = (
  resources: Resources
): Effect.Effect<LiveAttempt, never, RunStore | RolloutQueue | Proxy> =>
  Effect.gen(function*() {
    const { runId } = yield* theRun(resources)
    const queue = yield* RolloutQueue
    const { origin } = yield* Proxy
    const claims = queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 1 })
    const claim = yield* eventually("a claim", Effect.map(claims, ([first]) => first))
    yield* queue.start(claim)
    return { claim, url: toBaseUrl(origin, claim) }
  }).pipe(Effect.orDie)

export const nextAttempt = attemptWith({})
