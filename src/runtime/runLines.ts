/** What a run says to the person at the terminal as it begins and as it stops; how far it is, `progressLine` tells. */
import { counted } from "../domain/Figures.js"
import { brokenRemedy, brokenText } from "../domain/Noise.js"
import { columnsMax, wrapped } from "../domain/TerminalText.js"
import type { Broken } from "../store/brokenRollouts.js"
import type { Fates } from "../store/RunFindings.js"
import type { BegunRun, RunProgress } from "../store/RunStore.js"
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

/** `underWay` is how many attempts were under way when the run was told to stop, `fates` what became of them. */
export const stoppedLine = (
  { finished, total }: Pick<RunProgress, "finished" | "total">,
  fates: Fates,
  underWay: number
): string =>
  `stopped with ${finished} of ${counted(total, "rollout")} finished; ${fatesText(fates, underWay)}; `
  + "run the same command to resume"

const fatesText = ({ finished, handedBack }: Fates, underWay: number): string => {
  // Of a lease that was lost, or a store that took no more, nothing was written.
  const left = underWay - finished - handedBack
  const fates = [
    [finished, "finished"],
    [handedBack, "handed back, uncharged"],
    [left, "given up, to be put back by the next start"]
  ] as const
  const told = fates.filter(([count]) => count > 0).map(([count, fate], n) =>
    `${count}${n === 0 ? " under way" : ""} ${fate}`
  )
  return told.length === 0 ? "nothing was under way" : told.join(", ")
}

export const timedOutLine = ({ cancelled, failed, succeeded, total }: Summary, secs: number): string =>
  `timed out after ${secs} s with ${succeeded + failed + cancelled} of ${counted(total, "rollout")} finished; ` +
  "run the same command to resume, or raise completion_timeout_secs"

/** What an evaluation lacks whose model or agent was away, or whose scorer could not judge. */
export const outageLines = (broken: ReadonlyArray<Broken>, total: number): ReadonlyArray<string> =>
  wrapped(
    `${brokenText(broken, String(total), broken[0]!.error)}: their scores say nothing; ${brokenRemedy(broken)}`,
    columnsMax
  )
