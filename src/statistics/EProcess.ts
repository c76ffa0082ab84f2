/**
 * Evidence that may be looked at after every observation: bets on a mean above 0 whose winnings, if there is no such mean,
 * reach 1/α with a chance of at most α, however long one plays and whenever one stops.
 */
import type { Bounds } from "./Bootstrap.js"
import { checkProbability, SampleInvalid } from "./SampleInvalid.js"

/** The share of its winnings that each bettor puts on the next difference: small ones find small gains, large ones soon large ones. */
const stakes = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

/** Winnings go no higher. Giving some away leaves the test valid, and a number stays one that JSON can hold. */
const winningsMax = 1e300

/**
 * The mixture of bettors E_n = mean_j ∏ (1 + λ_j d_i), for differences in [−1, 1] of mean at most 0 a supermartingale that
 * starts at 1: P(ever E ≥ 1/α) ≤ α (Ville 1939; Waudby-Smith, Ramdas 2024, JRSS-B 86).
 */
export class EProcess {
  private readonly winnings = stakes.map(() => 1)
  private largest = 1

  observe(difference: number): void {
    if (!(difference >= -1 && difference <= 1)) {
      throw new SampleInvalid(`difference: expected a number from -1 to 1, found ${difference}`)
    }
    for (const [bettor, stake] of stakes.entries()) {
      this.winnings[bettor] = Math.min(winningsMax, this.winnings[bettor]! * (1 + stake * difference))
    }
    this.largest = Math.max(this.largest, this.value)
  }

  /** The evidence now. */
  get value(): number {
    return this.winnings.reduce((total, won) => total + won, 0) / stakes.length
  }

  /** The most evidence there ever was: it may be claimed even when later differences took it back. */
  get max(): number {
    return this.largest
  }

  /** A p-value that is valid at every stop. */
  get anytimeP(): number {
    return 1 / this.largest
  }
}

/**
 * Bounds of the mean of differences in [−1, 1] that hold at all times at once, so at any stop: the means that the bets on
 * either side have not ruled out.
 */
export const confidenceSequence = (differences: ReadonlyArray<number>, level = 0.95): Bounds => {
  checkProbability(level, "level")
  const needed = 2 / (1 - level)
  return {
    low: lowest(differences, needed),
    high: -lowest(differences.map((difference) => -difference), needed)
  }
}

const halvings = 40

/** The evidence against a mean of at most m falls with m, so that one point divides what is ruled out from the rest. */
const lowest = (differences: ReadonlyArray<number>, needed: number): number => {
  if (!rulesOut(differences, -1, needed)) return -1
  let low = -1
  let high = 1
  for (let step = 0; step < halvings; step += 1) {
    const middle = (low + high) / 2
    if (rulesOut(differences, middle, needed)) low = middle
    else high = middle
  }
  return low
}

const rulesOut = (differences: ReadonlyArray<number>, mean: number, needed: number): boolean => {
  const bets = new EProcess()
  // Shifted by the mean and scaled into [-1, 1] again.
  return differences.some((difference) => {
    bets.observe((difference - mean) / (1 + Math.abs(mean)))
    return bets.max >= needed
  })
}
