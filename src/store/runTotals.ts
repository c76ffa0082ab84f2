import * as Effect from "effect/Effect"
import { totalsOf } from "./RowJson.js"
import { type Run, RunReader, type RunRules } from "./RunReader.js"

/** Whether a run searched for better texts, and did not only evaluate its own. */
export const isSearch = ({ algorithm }: RunRules): boolean => algorithm !== null && algorithm !== "evaluate"

/** What a run came to among others. The rollouts of a search are those of many texts: their mean is the score of none of them. */
export const runTotals = (run: Run) =>
  Effect.gen(function*() {
    const runs = yield* RunReader
    const totals = totalsOf(yield* runs.results(run.id))
    const searched = isSearch(yield* runs.rules(run.id))
    return { run, isSearch: searched, totals: searched ? { ...totals, meanScore: null } : totals }
  })
