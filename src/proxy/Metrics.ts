/** What the proxy counts for Prometheus: plain numbers on the hot path, text only when somebody asks. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { type Endpoint, endpointOf, socketEndpointOf } from "../openai/Endpoint.js"
import { snakeName } from "../store/RowJson.js"
import type { FinishedSpan } from "../store/writer/spans.js"
import { type Refusal, refusals } from "./ProxyError.js"

/** Counts per upper bound, as Prometheus has them; bounds in seconds. */
class Histogram {
  readonly counts: Array<number>
  sum = 0

  constructor(readonly bounds: ReadonlyArray<number>) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(seconds: number): void {
    let index = 0
    while (index < this.bounds.length && seconds > this.bounds[index]!) index += 1
    this.counts[index]! += 1
    this.sum += seconds
  }
}

const apis: ReadonlyArray<Endpoint["api"]> = [
  "chat_completions",
  "completions",
  "embeddings",
  "responses",
  "realtime",
  "messages",
  "other"
]
const statuses = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
const states: ReadonlyArray<FinishedSpan["state"]> = [
  "done",
  "client_cancel",
  "upstream_cut",
  "upstream_error",
  "timeout",
  "refused"
]

const waits = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const commits = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** How often the event loop is asked how late it is. */
const lagResolutionMs = 100

/** What is known only at the moment somebody asks. Sizes in bytes. */
export interface Gauges {
  readonly connections: number
  readonly callsUnderWay: number
  readonly callsQueued: number
  readonly spansCommitted: number
  readonly spansLost: number
  readonly requestsWaiting: number
  readonly waitingBytes: number
  readonly recordedBytes: number
  readonly recordingsCut: number
  readonly commits: number
  readonly storeFailed: boolean
  readonly logLinesLost: number
  /** Null when it is not known. */
  readonly walBytes: number | null
  readonly freeBytes: number | null
  /** One for each rule of `rewrite`. */
  readonly rewrites: ReadonlyArray<{ readonly component: string; readonly matched: number; readonly missed: number }>
}

export class Metrics {
  /** One count for each endpoint, status class and end state; a peer chooses none of the labels. */
  private readonly requests = Array.from({ length: apis.length * statuses.length * states.length }, () => 0)
  private readonly refused = new Map<Refusal, number>()
  private readonly duration = new Histogram(waits)
  private readonly firstChunk = new Histogram(waits)
  private readonly commit = new Histogram(commits)
  private readonly lag = monitorEventLoopDelay({ resolution: lagResolutionMs })
  private requestBytes = 0
  private responseBytes = 0
  private inputTokens = 0
  private outputTokens = 0

  /** Watches the event loop until it is closed. */
  constructor() {
    this.lag.enable()
  }

  close(): void {
    this.lag.disable()
  }

  /** `state` as the store has it: it has read the answer. */
  ended(span: FinishedSpan, state: FinishedSpan["state"]): void {
    const isSocketCall = span.webSocket?.isCall === true
    const endpoint = isSocketCall ? socketEndpointOf(span.path) : endpointOf(span.method, span.path)
    const api = apis.indexOf(endpoint.api)
    const status = span.statusCode === null ? 0 : Math.floor(span.statusCode / 100)
    const index = (api * statuses.length + Math.min(status, statuses.length - 1)) * states.length +
      states.indexOf(state)
    this.requests[index]! += 1
    if (isSocketCall) {
      // Its bytes are counted with those of its connection.
      this.observe(span)
      return
    }
    this.requestBytes += span.requestBytes
    this.responseBytes += span.responseBytes
    // A connection's length says nothing of how long anybody waited.
    if (span.webSocket === undefined) this.observe(span)
  }

  answeredMore(bytes: number): void {
    this.responseBytes += bytes
  }

  private observe(span: FinishedSpan) {
    this.duration.observe((span.endTimeUs - span.startTimeUs) / 1e6)
    if (span.firstByteUs !== null) this.firstChunk.observe((span.firstByteUs - span.startTimeUs) / 1e6)
  }

  committed(seconds: number, tokens: { readonly inputTokens: number; readonly outputTokens: number } | null): void {
    this.commit.observe(seconds)
    if (tokens === null) return
    this.inputTokens += tokens.inputTokens
    this.outputTokens += tokens.outputTokens
  }

  refuse(reason: Refusal): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  /** Prometheus text format, version 0.0.4. */
  text(gauges: Gauges): string {
    const page = new Page()
    page.family("tau_requests_total", "counter", "Finished calls by endpoint, status class and end state of the span.")
    this.requests.forEach((count, index) => {
      if (count === 0) return
      const state = states[index % states.length]
      const status = statuses[Math.floor(index / states.length) % statuses.length]
      const endpoint = apis[Math.floor(index / states.length / statuses.length)]
      page.sample(`tau_requests_total{endpoint="${endpoint}",status="${status}",state="${state}"}`, count)
    })
    page.family("tau_requests_refused_total", "counter", "Calls that were not forwarded, by reason.")
    for (const reason of Object.keys(refusals) as Array<Refusal>) {
      page.sample(`tau_requests_refused_total{reason="${snakeName(reason)}"}`, this.refused.get(reason) ?? 0)
    }
    if (gauges.rewrites.length > 0) {
      page.family("tau_rewrites_total", "counter", "Calls by rule of `rewrite`, and whether it found its text.")
      gauges.rewrites.forEach(({ component, matched, missed }, rule) => {
        const labels = `rule="${rule}",component="${labelValue(component)}"`
        page.sample(`tau_rewrites_total{${labels},outcome="matched"}`, matched)
        page.sample(`tau_rewrites_total{${labels},outcome="missed"}`, missed)
      })
    }
    page.histogram("tau_request_duration_seconds", "From the request's head to the end of the answer.", this.duration)
    page.histogram(
      "tau_time_to_first_chunk_seconds",
      "From the request's head to the answer's first byte.",
      this.firstChunk
    )
    page.histogram("tau_span_commit_seconds", "From the end of an answer to its span's commit.", this.commit)
    page.single("tau_request_bytes_total", "counter", "Bytes of request bodies.", this.requestBytes)
    page.single("tau_response_bytes_total", "counter", "Bytes of answers.", this.responseBytes)
    page.single("tau_input_tokens_total", "counter", "Tokens in, as upstreams reported them.", this.inputTokens)
    page.single("tau_output_tokens_total", "counter", "Tokens out, as upstreams reported them.", this.outputTokens)
    for (const [name, type, help, read] of singles) {
      const value = read(gauges)
      if (value !== null) page.single(name, type, help, value)
    }
    page.family("tau_event_loop_lag_seconds", "gauge", "How late the event loop was since the last scrape.")
    // The monitor tells the time between two of its timers, which are apart by its resolution when nothing is late.
    const lag = (nanoseconds: number) => Math.max(0, (nanoseconds / 1e6 - lagResolutionMs) / 1e3) || 0
    page.sample("tau_event_loop_lag_seconds{quantile=\"0.5\"}", lag(this.lag.percentile(50)))
    page.sample("tau_event_loop_lag_seconds{quantile=\"0.99\"}", lag(this.lag.percentile(99)))
    page.sample("tau_event_loop_lag_seconds{quantile=\"1\"}", lag(this.lag.max))
    this.lag.reset()
    return page.text
  }
}

const singles: ReadonlyArray<
  readonly [name: string, type: "counter" | "gauge", help: string, read: (gauges: Gauges) => number | null]
> = [
  ["tau_connections_open", "gauge", "Client connections.", ({ connections }) => connections],
  ["tau_calls_under_way", "gauge", "Calls being forwarded.", ({ callsUnderWay }) => callsUnderWay],
  ["tau_calls_queued", "gauge", "Calls that wait for one under way to end.", ({ callsQueued }) => callsQueued],
  ["tau_spans_committed_total", "counter", "Spans in the store.", ({ spansCommitted }) => spansCommitted],
  ["tau_spans_lost_total", "counter", "Spans that were not recorded.", ({ spansLost }) => spansLost],
  ["tau_writer_waiting", "gauge", "Requests not yet handed to the writer.", ({ requestsWaiting }) => requestsWaiting],
  ["tau_writer_waiting_bytes", "gauge", "Bytes of their bodies.", ({ waitingBytes }) => waitingBytes],
  ["tau_commits_total", "counter", "Transactions of the writer.", ({ commits }) => commits],
  ["tau_recorded_bytes", "gauge", "Recorded bytes in memory.", ({ recordedBytes }) => recordedBytes],
  ["tau_recordings_cut_total", "counter", "Bodies whose record is not whole.", ({ recordingsCut }) => recordingsCut],
  ["tau_store_failure", "gauge", "1 while calls cannot be recorded.", ({ storeFailed }) => Number(storeFailed)],
  ["tau_store_wal_bytes", "gauge", "Size of the store's write-ahead log.", ({ walBytes }) => walBytes],
  ["tau_store_free_bytes", "gauge", "Free space on the store's file system.", ({ freeBytes }) => freeBytes],
  ["tau_attribution_log_lost_total", "counter", "Lines not appended to the log.", ({ logLinesLost }) => logLinesLost],
  ["tau_resident_memory_bytes", "gauge", "Resident memory of the process.", () => process.memoryUsage.rss()]
]

class Page {
  text = ""

  family(name: string, type: "counter" | "gauge" | "histogram", help: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  }

  sample(series: string, value: number): void {
    this.text += `${series} ${value}\n`
  }

  single(name: string, type: "counter" | "gauge", help: string, value: number): void {
    this.family(name, type, help)
    this.sample(name, value)
  }

  histogram(name: string, help: string, { bounds, counts, sum }: Histogram): void {
    this.family(name, "histogram", help)
    let total = 0
    counts.forEach((count, index) => {
      total += count
      this.sample(`${name}_bucket{le="${bounds[index] ?? "+Inf"}"}`, total)
    })
    this.sample(`${name}_sum`, sum)
    this.sample(`${name}_count`, total)
  }
}

/** As the text format wants it. */
const labelValue = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"").replaceAll("\n", "\\n")
