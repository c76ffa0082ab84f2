/** A finished span on its way to the writer thread: its values without their names, which take half of the time to write and to read. */
import type { FinishedSpan } from "./spans.js"

type Optional<T> = { [Key in keyof T]-?: object extends Pick<T, Key> ? Key : never }[keyof T]

/** What few spans have; the compiler sees to it that nothing is missing. `webSocket` says more than `isOverWebSocket`. */
const byName: Record<Exclude<Optional<FinishedSpan>, "secrets" | "mode" | "isOverWebSocket" | "isRequestAhead">, true> =
  {
    clientKeyId: true,
    webSocket: true,
    replayOf: true,
    hasDiverged: true,
    rewrite: true,
    usageAsked: true,
    wasReadOn: true,
    silentMs: true
  }
const names = Object.keys(byName) as ReadonlyArray<keyof typeof byName>

const none: ReadonlyArray<string> = []

export const rowOf = (span: FinishedSpan): ReadonlyArray<unknown> => {
  const row = [
    span.spanId,
    span.traceId,
    span.parentId,
    span.rolloutId,
    span.attemptId,
    span.clientSequenceId,
    span.processId,
    span.method,
    span.path,
    span.startTimeUs,
    span.caller,
    span.state,
    span.endTimeUs,
    span.statusCode,
    span.errorCode,
    span.errorMessage,
    span.upstreamUrl,
    span.firstByteUs,
    span.chunks,
    span.requestBytes,
    span.responseBytes,
    span.requestTruncated,
    span.responseTruncated,
    span.requestContentEncoding,
    span.responseContentType,
    span.responseContentEncoding,
    span.isFirst,
    span.wasOpened,
    span.secrets ?? none,
    span.mode ?? null,
    span.isRequestAhead === true
  ]
  for (const name of names) if (span[name] !== undefined) row.push(name, span[name] as never)
  return row
}

/** The span of a row that went through JSON. */
export const spanOf = (row: ReadonlyArray<never>): FinishedSpan => {
  const span: { -readonly [Key in keyof FinishedSpan]: FinishedSpan[Key] } = {
    spanId: row[0]!,
    traceId: row[1]!,
    parentId: row[2]!,
    rolloutId: row[3]!,
    attemptId: row[4]!,
    clientSequenceId: row[5]!,
    processId: row[6]!,
    method: row[7]!,
    path: row[8]!,
    startTimeUs: row[9]!,
    caller: row[10]!,
    state: row[11]!,
    endTimeUs: row[12]!,
    statusCode: row[13]!,
    errorCode: row[14]!,
    errorMessage: row[15]!,
    upstreamUrl: row[16]!,
    firstByteUs: row[17]!,
    chunks: row[18]!,
    requestBytes: row[19]!,
    responseBytes: row[20]!,
    requestTruncated: row[21]!,
    responseTruncated: row[22]!,
    requestContentEncoding: row[23]!,
    responseContentType: row[24]!,
    responseContentEncoding: row[25]!,
    isFirst: row[26]!,
    wasOpened: row[27]!,
    secrets: row[28]!,
    mode: row[29]!,
    isRequestAhead: row[30]!
  }
  for (let place = 31; place < row.length; place += 2) Object.assign(span, { [row[place]!]: row[place + 1] })
  return span
}
