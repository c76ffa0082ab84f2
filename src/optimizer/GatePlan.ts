/** What is settled before a gate opens: how many pairs, at which level, and what they can find. */
import { pairsNeeded, smallestDetectable } from "../statistics/Power.js"
import { gatePower } from "./GatePower.js"
import type { GateSettings } from "./GateSettings.js"

export interface GatePlan {
  /** Pairs at which the test is made, all gate examples: pre-registered, whatever is seen on the way. */
  readonly pairs: number
  /** How often this gate was opened, this time included. Each opening is charged, so that all together cost alpha. */
  readonly opening: number
  readonly alpha: {
    readonly total: number
    readonly opening: number
    /** For looking after every pair. */
    readonly peeking: number
    /** For the test at the planned end. */
    readonly test: number
  }
  /** The evidence that ends the gate early. */
  readonly evidenceNeeded: number
  /** Openings that will be possible after this one. */
  readonly openingsLeft: number
  /** The chance to find a gain of this size, at the expected share of pairs that disagree: see `gatePower`. */
  readonly power: ReadonlyArray<{ readonly gain: number; readonly power: number }>
  /** The smallest gain that is found 8 times out of 10; null when no gain is. */
  readonly detectableGain: number | null
}

/** Levels below this can show nothing but wonders: the gate wants new examples then. */
const openingAlphaMin = 0.002

const statedGains = [0.05, 0.1, 0.15, 0.2]
const powerWanted = 0.8
/** To a tenth of a point. */
const gainHalvings = 10

/** The level of the k-th opening, α · 6/(π² k²): all of them together spend α. */
const openingAlpha = (alpha: number, opening: number): number => alpha * 6 / (Math.PI ** 2 * opening ** 2)

/** Whether the gate may be opened a k-th time. */
export const mayOpen = (alpha: number, opening: number): boolean => openingAlpha(alpha, opening) >= openingAlphaMin

export const gatePlan = (pairs: number, opening: number, settings: GateSettings): GatePlan => {
  const { alpha: total, peekingShare } = settings
  const share = openingAlpha(total, opening)
  const alpha = { total, opening: share, peeking: share * peekingShare, test: share * (1 - peekingShare) }
  const powerOf = pairs === 0 ? () => 0 : gatePower(pairs, alpha.test, settings)
  let openingsLeft = 0
  while (mayOpen(total, opening + openingsLeft + 1)) openingsLeft += 1
  return {
    pairs,
    opening,
    alpha,
    evidenceNeeded: 1 / alpha.peeking,
    openingsLeft,
    power: statedGains.map((gain) => ({ gain, power: powerOf(gain) })),
    detectableGain: smallestDetectable(powerOf, { power: powerWanted, steps: gainHalvings })
  }
}

/** The gain that a gate should at least be able to find, for saying how many examples it needs. */
const gainWanted = 0.2

/** `validate` examples of which the gate's part can find a gain of 20 points, by Connor's formula at the first opening's level. */
export const validateNeeded = ({ alpha, discordantShare, fraction, peekingShare }: GateSettings): number =>
  Math.ceil(
    pairsNeeded(
      { difference: gainWanted, discordant: Math.max(discordantShare, gainWanted) },
      { alpha: openingAlpha(alpha, 1) * (1 - peekingShare), power: powerWanted }
    ) / fraction
  )
