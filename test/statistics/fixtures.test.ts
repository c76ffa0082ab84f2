import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Alternative } from "../../src/statistics/Alternative.js"
import { binomialTail } from "../../src/statistics/Binomial.js"
import { bcaBounds } from "../../src/statistics/Bootstrap.js"
import { cliffsDelta, cohensD, cohensDz } from "../../src/statistics/EffectSize.js"
import { erfc, incompleteBeta, logGamma } from "../../src/statistics/Gamma.js"
import { holm } from "../../src/statistics/Holm.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { normalQuantile } from "../../src/statistics/Normal.js"
import { pairedPermutation } from "../../src/statistics/Permutation.js"
import { mcNemarPower, tPower } from "../../src/statistics/Power.js"
import { noncentralTCdf, studentTCdf, studentTQuantile } from "../../src/statistics/StudentT.js"
import { welch } from "../../src/statistics/Welch.js"
import { wilson } from "../../src/statistics/Wilson.js"

interface Case {
  readonly function: string
  readonly arguments: ReadonlyArray<never>
  readonly command: string
  readonly expected: number | ReadonlyArray<number> | { readonly low: number; readonly high: number }
}

const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, "fixtures.json"), "utf8")) as {
  readonly cases: ReadonlyArray<Case>
}

type Sample = ReadonlyArray<number>
const functions: Readonly<Record<string, (...given: ReadonlyArray<never>) => unknown>> = {
  logGamma,
  erfc,
  incompleteBeta,
  normalQuantile,
  studentTQuantile,
  studentTCdf,
  noncentralTCdf,
  binomialTail,
  mcNemar: (wins: number, losses: number, alternative: Alternative) => mcNemar(wins, losses, alternative).pValue,
  mcNemarMid: (wins: number, losses: number) => mcNemar(wins, losses).midPValue,
  pairedPermutation: (sample: Sample, alternative: Alternative) => pairedPermutation(sample, { alternative }).pValue,
  welch: (first: Sample, second: Sample, alternative: Alternative) => welch(first, second, alternative).pValue,
  welchBounds: (first: Sample, second: Sample, level: number) => welch(first, second, "two-sided", level).bounds,
  wilson,
  bcaBounds,
  cohensD,
  cohensDz,
  cliffsDelta,
  holm,
  mcNemarPower: (pairs: number, discordant: number, difference: number) =>
    mcNemarPower({ pairs, discordant, difference }),
  tPower: (difference: number, standardError: number, df: number) => tPower({ difference, standardError, df })
}

const numbers = (value: unknown): ReadonlyArray<number> =>
  typeof value === "number" ? [value] : Object.values(value as Record<string, number>)

/** The special functions must be right to 1e-10, what is made of them to 1e-6; SciPy's own noncentral t is not better. */
const special = new Set([
  "logGamma",
  "erfc",
  "incompleteBeta",
  "normalQuantile",
  "studentTQuantile",
  "studentTCdf",
  "binomialTail"
])

describe("statistics against SciPy", () => {
  it("has enough reference values for every function", () => {
    assert.isAtLeast(cases.length, 30)
    assert.deepStrictEqual(new Set(cases.map((one) => one.function)), new Set(Object.keys(functions)))
  })

  it.each(cases.map((one) => [`${one.function}: ${one.command.slice(0, 90)}`, one] as const))(
    "agrees on %s",
    (_, one) => {
      const got = numbers(functions[one.function]!(...one.arguments))
      const expected = numbers(one.expected)
      assert.strictEqual(got.length, expected.length)
      const tolerance = special.has(one.function) ? 1e-10 : 1e-6
      for (const [index, value] of expected.entries()) {
        assert.closeTo(got[index]!, value, tolerance * Math.max(1, Math.abs(value)))
        if (special.has(one.function) && value !== 0) assert.closeTo(got[index]! / value, 1, tolerance)
      }
    }
  )
})
