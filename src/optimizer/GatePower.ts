/** What a gate can find: the chance that a true gain gets past every look for futility and the test at the end. */
import { mcNemar } from "../statistics/McNemar.js"
import { normalQuantile } from "../statistics/Normal.js"
import { mcNemarPower } from "../statistics/Power.js"
import type { GateSettings } from "./GateSettings.js"

/** Ways less likely than this are not followed. */
const chanceMin = 1e-15
/** Standard deviations above the mean, past which counts are not followed. */
const reach = 7
/** In gates of more pairs the ways are too many; what looks for futility cost there, a point or two, is left out. */
const followedMax = 600

/**
 * The z = Σd / √Σd² below which a gate of `planned` pairs ends for futility at a look after `seen` of them: there the conditional
 * power is `futilityPower`. Minus infinity where it does not look.
 */
export const futileBelow = (
  seen: number,
  planned: number,
  alpha: number,
  { futilityFrom, futilityPower }: Pick<GateSettings, "futilityFrom" | "futilityPower">
): number => {
  const share = seen / planned
  if (share < futilityFrom || share >= 1) return Number.NEGATIVE_INFINITY
  return Math.sqrt(share) * (normalQuantile(1 - alpha) + Math.sqrt(1 - share) * normalQuantile(futilityPower))
}

/**
 * Power by gain for 0/1 scores: every way the wins and losses can go is followed, block by block. The evidence that may end a
 * gate early is left out, so that the gate is a little better than this says.
 */
export const gatePower = (
  planned: number,
  alpha: number,
  settings: Pick<GateSettings, "blockPairs" | "discordantShare" | "futilityFrom" | "futilityPower">
): (gain: number) => number => {
  /** By wins, the most losses with which so many wins still reject; −1 when none are few enough. */
  const rejectedUpTo: Array<number> = []
  for (let wins = 0; wins <= Math.min(planned, followedMax); wins += 1) {
    let losses = rejectedUpTo[wins - 1] ?? -1
    while (losses < wins && mcNemar(wins, losses + 1, "greater").pValue <= alpha) losses += 1
    rejectedUpTo.push(losses)
  }
  return (gain) => {
    const discordant = Math.max(settings.discordantShare, gain)
    if (planned > followedMax) {
      return mcNemarPower({ pairs: planned, discordant, difference: gain }, { alpha, alternative: "greater" })
    }
    const win = (discordant + gain) / 2
    const loss = (discordant - gain) / 2
    /** The chance of so many wins and losses by now, wins first. */
    const ways = Array.from({ length: planned + 1 }, () => new Float64Array(planned + 1))
    ways[0]![0] = 1
    for (let seen = 1; seen <= planned; seen += 1) {
      const winsMax = highest(seen, win)
      const lossesHighest = highest(seen, loss)
      for (let wins = winsMax; wins >= 0; wins -= 1) {
        const here = ways[wins]!
        const before = ways[wins - 1]
        for (let losses = Math.min(lossesHighest, seen - wins); losses >= 0; losses -= 1) {
          const chance = here[losses]! * (1 - discordant) + (before === undefined ? 0 : before[losses]! * win) +
            (losses === 0 ? 0 : here[losses - 1]! * loss)
          here[losses] = chance < chanceMin ? 0 : chance
        }
      }
      const futile = seen % settings.blockPairs === 0
        ? futileBelow(seen, planned, alpha, settings)
        : Number.NEGATIVE_INFINITY
      if (futile === Number.NEGATIVE_INFINITY) continue
      for (let wins = 0; wins <= winsMax; wins += 1) {
        for (let losses = 0; losses <= Math.min(lossesHighest, seen - wins); losses += 1) {
          const z = wins + losses === 0 ? 0 : (wins - losses) / Math.sqrt(wins + losses)
          if (z < futile) ways[wins]![losses] = 0
        }
      }
    }
    let power = 0
    for (const [wins, byLosses] of ways.entries()) {
      for (let losses = Math.min(rejectedUpTo[wins]!, planned - wins); losses >= 0; losses -= 1) {
        power += byLosses[losses]!
      }
    }
    return power
  }
}

const highest = (n: number, share: number): number =>
  Math.min(n, Math.ceil(n * share + reach * Math.sqrt(n * share * (1 - share))) + reach)
