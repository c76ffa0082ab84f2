/** What may be asked of the queue, in any order. */
import * as FastCheck from "effect/FastCheck"
import type { Input } from "../../src/store/writer/operations.js"

const of = <Kind extends string>(...kinds: ReadonlyArray<Kind>) => FastCheck.constantFrom(...kinds)
const numbers = (...values: ReadonlyArray<number>) => FastCheck.constantFrom(...values)
const nth = FastCheck.nat({ max: 7 })

/** A claim is named by its place in the list of claims so far. */
export const step = FastCheck.oneof(
  {
    weight: 5,
    arbitrary: FastCheck.record({ kind: of("claim"), n: nth, limit: FastCheck.integer({ min: 1, max: 3 }) })
  },
  {
    weight: 10,
    arbitrary: FastCheck.record({
      kind: of("start", "start", "succeed", "succeedAtOnce", "fail", "timeout", "giveUp", "release", "abandon", "call"),
      n: nth
    })
  },
  { weight: 3, arbitrary: FastCheck.record({ kind: of("heartbeat", "rescue"), mask: FastCheck.nat({ max: 255 }) }) },
  { weight: 4, arbitrary: FastCheck.record({ kind: of("pass"), ms: numbers(1, 300, 999, 1_001, 60_000) }) },
  { weight: 1, arbitrary: FastCheck.record({ kind: of("setClock"), ms: numbers(-3_600_000, -500, 3_600_000) }) },
  { weight: 1, arbitrary: FastCheck.record({ kind: of("begin", "stop", "cancelRun") }) },
  { weight: 2, arbitrary: FastCheck.record({ kind: of("pause", "resume", "resume", "cancel", "rollback"), n: nth }) },
  { weight: 1, arbitrary: FastCheck.record({ kind: of("publish", "prioritize"), n: nth }) }
)

export type Action = typeof step extends FastCheck.Arbitrary<infer Value> ? Value : never

/** A call that was answered, of no known wire format. */
export const emptySpan: Omit<Input<"closeSpan">, "spanId" | "rolloutId" | "attemptId"> = {
  traceId: "t",
  parentId: null,
  clientSequenceId: null,
  processId: "process-1",
  method: "POST",
  path: "/v1/anything",
  startTimeUs: 0,
  caller: null,
  state: "done",
  endTimeUs: 1,
  statusCode: 200,
  errorCode: null,
  errorMessage: null,
  upstreamUrl: "http://127.0.0.1:1/v1/anything",
  firstByteUs: null,
  chunks: 0,
  requestBytes: 0,
  responseBytes: 0,
  requestTruncated: false,
  responseTruncated: false,
  requestContentEncoding: null,
  responseContentType: null,
  responseContentEncoding: null,
  isFirst: true,
  wasOpened: false
}
