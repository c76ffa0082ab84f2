import { assert, describe, it } from "@effect/vitest"
import { bootstrapMean } from "../../src/statistics/Bootstrap.js"
import { Draws } from "../../src/statistics/Draws.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { normalQuantile } from "../../src/statistics/Normal.js"
import { pairedPermutation } from "../../src/statistics/Permutation.js"
import { mcNemarPower, tPower } from "../../src/statistics/Power.js"
import { welch } from "../../src/statistics/Welch.js"

/** How often the experiment says yes. */
const share = (experiments: number, yes: (draws: Draws, n: number) => boolean, seed = 11): number => {
  const draws = new Draws(seed)
  let count = 0
  for (let n = 0; n < experiments; n += 1) if (yes(draws, n)) count += 1
  return count / experiments
}

const normal = (draws: Draws) => normalQuantile((draws.bits() + 0.5) / 2 ** 32)

/** A table for speed: 10,000 experiments look up the same p-values again and again. */
const rejects = (wins: number, losses: number, kind: "pValue" | "midPValue") => {
  const key = `${wins}/${losses}/${kind}`
  const known = verdicts.get(key)
  if (known !== undefined) return known
  const verdict = mcNemar(wins, losses)[kind] <= 0.05
  verdicts.set(key, verdict)
  return verdict
}
const verdicts = new Map<string, boolean>()

const outcomes = (draws: Draws, pairs: number, discordant: number, difference: number) => {
  let wins = 0
  let losses = 0
  for (let n = 0; n < pairs; n += 1) {
    const at = draws.uniform()
    if (at < (discordant + difference) / 2) wins += 1
    else if (at < discordant) losses += 1
  }
  return { wins, losses }
}

describe("statistics in 10,000 experiments", () => {
  it("claims a difference that is not there in 4 to 6 of 100 McNemar mid-p tests, and the exact test in fewer", () => {
    const mid = share(10_000, (draws) => {
      const { losses, wins } = outcomes(draws, 200, 0.4, 0)
      return rejects(wins, losses, "midPValue")
    })
    assert.isTrue(mid >= 0.04 && mid <= 0.06, `mid-p ${mid}`)
    const exact = share(10_000, (draws) => {
      const { losses, wins } = outcomes(draws, 200, 0.4, 0)
      return rejects(wins, losses, "pValue")
    })
    assert.isTrue(exact >= 0.02 && exact <= 0.05, `exact ${exact}`)
  })

  it("claims a difference that is not there in 4 to 6 of 100 permutation tests, counted or drawn", () => {
    const counted = share(
      10_000,
      (draws) => pairedPermutation(Array.from({ length: 9 }, () => normal(draws))).pValue <= 0.05
    )
    assert.isTrue(counted >= 0.04 && counted <= 0.06, `counted ${counted}`)
    const drawn = share(
      10_000,
      (draws, seed) =>
        pairedPermutation(Array.from({ length: 20 }, () => normal(draws)), { seed, draws: 199 }).pValue <= 0.05
    )
    assert.isTrue(drawn >= 0.04 && drawn <= 0.06, `drawn ${drawn}`)
  })

  it("claims a difference that is not there in 4 to 6 of 100 Welch tests of unequal spread", () => {
    const got = share(10_000, (draws) => {
      const first = Array.from({ length: 12 }, () => normal(draws))
      const second = Array.from({ length: 20 }, () => 3 * normal(draws))
      return welch(first, second).pValue <= 0.05
    })
    assert.isTrue(got >= 0.04 && got <= 0.06, `${got}`)
  })

  it("holds the true mean in about 95 of 100 bootstrap intervals", () => {
    const got = share(1_000, (draws, seed) => {
      const sample = Array.from({ length: 60 }, () => normal(draws) + 0.3)
      const { high, low } = bootstrapMean(sample, { draws: 999, seed })
      return low <= 0.3 && high >= 0.3
    })
    assert.isTrue(got >= 0.93 && got <= 0.97, `${got}`)
  })

  it("finds a difference as often as the power says", () => {
    const stated = mcNemarPower({ pairs: 100, discordant: 0.4, difference: 0.2 })
    const seen = share(10_000, (draws) => {
      const { losses, wins } = outcomes(draws, 100, 0.4, 0.2)
      return rejects(wins, losses, "pValue")
    })
    assert.closeTo(seen, stated, 0.015)
    const paired = share(4_000, (draws) => {
      const first = Array.from({ length: 25 }, () => normal(draws))
      const second = Array.from({ length: 25 }, () => normal(draws) + 0.8)
      return welch(first, second).pValue <= 0.05
    })
    assert.closeTo(paired, tPower({ difference: 0.8, standardError: Math.sqrt(2 / 25), df: 48 }), 0.025)
  })
})
