/** Paired 0/1 outcomes: only the pairs that disagree say anything. */
import { type Alternative, twoSided } from "./Alternative.js"
import { binomialMass, binomialTail } from "./Binomial.js"
import { checkCount } from "./SampleInvalid.js"

export interface McNemar {
  readonly pValue: number
  /** Half the weight on what was seen: closer to the level it is asked for, which the exact test stays below. */
  readonly midPValue: number
}

/**
 * The exact conditional test: without a difference, each of the pairs that disagree is a fair coin. `wins` are the pairs in
 * which the second arm alone succeeded, `losses` those in which the first alone did; `greater` asks whether the second is better.
 *
 * McNemar 1947, Psychometrika 12; the mid-p after Fagerland, Lydersen, Laake 2013, BMC Med Res Methodol 13:91.
 */
export const mcNemar = (wins: number, losses: number, alternative: Alternative = "two-sided"): McNemar => {
  checkCount(wins, "wins")
  checkCount(losses, "losses")
  const n = wins + losses
  const here = binomialMass(wins, n, 0.5)
  const greater = binomialTail(wins, n, 0.5)
  const less = binomialTail(losses, n, 0.5)
  switch (alternative) {
    case "greater":
      return { pValue: greater, midPValue: greater - here / 2 }
    case "less":
      return { pValue: less, midPValue: less - here / 2 }
    case "two-sided":
      return { pValue: twoSided(less, greater), midPValue: twoSided(less - here / 2, greater - here / 2) }
  }
}
