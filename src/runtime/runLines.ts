/** What a run says to the person at the terminal as it begins and as it stops; how far it is, `progressLine` tells. */
import { counted } from "../domain/Figures.js"
import { type BrokenBy, brokenRemedy, brokenText, type Tally } from "../domain/Noise.js"
import type { BegunRun, RunProgress } from "../store/RunStore.js"
import type { Stop } from "./Drain.js"
import type { Summary } from "./Summary.js"

/** `searchTitle` is null where every example runs once. */
export const begunLines = (begun: BegunRun, searchTitle: string | null): ReadonlyArray<string> => [
  begun.start === 1
    ? `new run ${begun.runId}: ${searchTitle ?? counted(begun.total, "rollout")}`
    : resumedLine(begun),
  ...begun.otherUnfinished.map(({ configPath, id }) =>
    `also unfinished in this store: ${id} (${configPath}); its own command resumes it`
  )
]

const resumedLine = ({ finishedBefore, requeued, retried, runId, total, unknownCalls }: BegunRun) =>
  `resuming run ${runId}: ${finishedBefore} of ${counted(total, "rollout")} already finished, ` +
  (retried === 0 ? "" : `${retried} that failed put back in the queue, `) +
  `${requeued} put back in the queue that a dead process held, ${counted(unknownCalls, "call")} ended unknown`

/** `progress` is null where the store could not be asked. */
export const stoppedLine = (progress: Pick<RunProgress, "finished" | "total"> | null, stop: Stop): string =>
  progress === null
    ? "stopped; run the same command to resume"
    : `stopped with ${progress.finished} of ${counted(progress.total, "rollout")} finished; ${fateOf(stop)}; ` +
      "run the same command to resume"

const fateOf = (stop: Stop): string => {
  const [underWay, back] = [stop.underWay(), stop.handedBack()]
  if (underWay === 0 && !back) return "nothing was under way"
  if (back === null) return `${underWay} under way finished or were handed back, uncharged`
  const finished = Math.max(0, underWay - back)
  if (back === 0) return `${finished} under way finished`
  return finished === 0
    ? `${back} under way handed back, uncharged`
    : `${finished} under way finished, ${back} handed back, uncharged`
}

export const timedOutLine = ({ cancelled, failed, succeeded, total }: Summary, secs: number): string =>
  `timed out after ${secs} s with ${succeeded + failed + cancelled} of ${counted(total, "rollout")} finished; ` +
  "run the same command to resume, or raise completion_timeout_secs"

/** What an evaluation lacks whose model was away, or whose scorer could not judge. */
export const outageLine = (
  broken: ReadonlyArray<BrokenBy>,
  modes: ReadonlyArray<Tally>,
  exampleError: string
): string => {
  const total = modes.reduce((sum, { rollouts }) => sum + rollouts, 0)
  return `${brokenText(broken, total, exampleError)}: their scores say nothing; ${brokenRemedy(broken)}`
}
