/** Buckets of time with what a run's rollouts did in them, counted from what is known of each. Plain functions. */
import type { Activity, Stretch } from "../store/ActivityReader.js"
import type { Bucket } from "./Payloads.js"

export interface Window {
  /** The last bucket ends here. */
  readonly endMs: number
  readonly bucketMs: number
  readonly buckets: number
}

/** Unix milliseconds at which the first bucket begins. */
export const startOf = ({ bucketMs, buckets, endMs }: Window): number => endMs - bucketMs * buckets

/** The buckets of the window, the oldest first. What happened at the very end of one belongs to it. */
export const bucketsOf = (
  { attempts, endings, waiting }: Pick<Activity, "attempts" | "endings" | "waiting">,
  window: Window
): ReadonlyArray<Bucket> => {
  const { bucketMs, buckets } = window
  const first = startOf(window)
  const ends = Array.from({ length: buckets }, (_, index) => first + (index + 1) * bucketMs)
  const queued = lastingAt(waiting, window)
  const running = lastingAt(attempts, window)
  const ended = { succeeded: zeros(buckets), failed: zeros(buckets), cancelled: zeros(buckets) }
  for (const { atMs, status } of endings) {
    const index = Math.ceil((atMs - first) / bucketMs) - 1
    if (index >= 0 && index < buckets) ended[status][index]! += 1
  }
  return ends.map((end, index) => ({
    start_unix_ms: end - bucketMs,
    end_unix_ms: end,
    queued: queued[index]!,
    running: running[index]!,
    succeeded: ended.succeeded[index]!,
    failed: ended.failed[index]!,
    cancelled: ended.cancelled[index]!
  }))
}

/** How many stretches have begun and are not over, at the end of each bucket. */
const lastingAt = (stretches: ReadonlyArray<Stretch>, window: Window): ReadonlyArray<number> => {
  const { bucketMs, buckets } = window
  const first = startOf(window)
  const changes = zeros(buckets + 1)
  /** The first bucket at whose end this moment is past. */
  const bucketOf = (ms: number) => Math.min(buckets, Math.max(0, Math.ceil((ms - first) / bucketMs) - 1))
  for (const { fromMs, toMs } of stretches) {
    changes[bucketOf(fromMs)]! += 1
    changes[toMs === null ? buckets : bucketOf(toMs)]! -= 1
  }
  let lasting = 0
  return changes.slice(0, buckets).map((change) => lasting += change)
}

const zeros = (length: number): Array<number> => Array.from({ length }, () => 0)
