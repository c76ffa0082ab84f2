import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { join } from "node:path"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import type { Span } from "../../src/domain/Span.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import type { RecordingRules } from "../../src/store/writer/recorded.js"
import { scratchFolder } from "./store.js"
import { eventually } from "./upstream.js"

export const attribution = { rolloutId: RolloutId.make("r1"), attemptId: AttemptId.make("r1:attempt-1") }

/** A proxy on a free port in front of `upstreamUrl`, over a store of its own. */
export const proxyAt = (
  storePath: string,
  upstreamUrl: string,
  options: Partial<ProxyOptions> = {},
  bytesMax: number | null = null,
  recording: RecordingRules | null = null
) => {
  const attributionLogPath = `${storePath}.attribution.jsonl`
  return Layer.mergeAll(
    SpanStore.layer,
    Proxy.layer({
      bind: { host: "127.0.0.1", port: 0 },
      upstreamUrl,
      timeoutMs: 2_000,
      attributionRequired: false,
      clientKey: null,
      upstreamKey: null,
      attributionLogPath,
      recordPolicy: "required",
      onDisconnect: "cancel",
      warn: () => {},
      limits: defaultLimits,
      ...options
    })
  ).pipe(Layer.provideMerge(Sqlite.layer({ path: storePath, kind: "test", attributionLogPath, bytesMax, recording })))
}

/** Runs a test with such a proxy. */
export const withProxy = <A, E, R>(
  upstreamUrl: string,
  test: Effect.Effect<A, E, R>,
  options: Partial<ProxyOptions> = {}
) =>
  Effect.flatMap(
    scratchFolder,
    (folder) => Effect.provide(test, proxyAt(join(folder, "store.sqlite"), upstreamUrl, options))
  )

/** The finished spans of the attempt in `attribution`, once there are `count`. */
export const finishedSpans = (count = 1, attemptId: AttemptId = attribution.attemptId) =>
  eventually(
    `${count} finished spans`,
    Effect.map(Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attemptId)), (spans) => {
      const finished = spans.filter(({ state }) => state !== "open")
      return finished.length >= count ? finished : undefined
    })
  )

export const oneSpan = Effect.map(finishedSpans(), (spans) => spans[0]!)

export const payloadText = (sha256: string | null) =>
  Effect.flatMap(SpanStore, (spans) => spans.payload(sha256 ?? "")).pipe(
    Effect.map(Option.match({ onNone: () => "", onSome: (bytes) => Buffer.from(bytes).toString("utf8") }))
  )

export const requestText = (span: Span) => payloadText(span.requestSha256)
export const responseText = (span: Span) => payloadText(span.responseSha256)
