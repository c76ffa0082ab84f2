/** What a gate can find: the chance that a true gain gets past every look for futility and the test at the end. */
import { mcNemar } from "../statistics/McNemar.js"
import { conditionalPower } from "../statistics/Power.js"
import type { GateSettings } from "./GateSettings.js"

/** Ways less likely than this are not followed. */
const chanceMin = 1e-10

/** Whether a gate of `planned` pairs ends for futility at a look after `seen` of them, given z = Σd / √Σd². */
export const isFutile = (
  z: number,
  seen: number,
  planned: number,
  alpha: number,
  { futilityFrom, futilityPower }: Pick<GateSettings, "futilityFrom" | "futilityPower">
): boolean =>
  seen < planned && seen >= futilityFrom * planned && conditionalPower(z, seen / planned, alpha) < futilityPower

/**
 * Power by gain for 0/1 scores: every way the wins and losses can go is followed, block by block. The evidence that may end a
 * gate early is left out, so that the gate is a little better than this says.
 */
export const gatePower = (
  planned: number,
  alpha: number,
  settings: Pick<GateSettings, "blockPairs" | "discordantShare" | "futilityFrom" | "futilityPower">
): (gain: number) => number => {
  const rejects = new Map<number, boolean>()
  const isRejected = (wins: number, losses: number) => {
    const key = wins * (planned + 1) + losses
    const known = rejects.get(key)
    if (known !== undefined) return known
    const verdict = mcNemar(wins, losses, "greater").pValue <= alpha
    rejects.set(key, verdict)
    return verdict
  }
  return (gain) => {
    const discordant = Math.max(settings.discordantShare, gain)
    const win = (discordant + gain) / 2
    const loss = (discordant - gain) / 2
    let ways = new Map([[0, 1]])
    for (let seen = 1; seen <= planned; seen += 1) {
      const next = new Map<number, number>()
      const add = (key: number, chance: number) => {
        if (chance > chanceMin) next.set(key, (next.get(key) ?? 0) + chance)
      }
      for (const [key, chance] of ways) {
        add(key + planned + 1, chance * win)
        add(key + 1, chance * loss)
        add(key, chance * (1 - discordant))
      }
      ways = next
      if (seen % settings.blockPairs !== 0) continue
      for (const key of ways.keys()) {
        const { losses, wins } = countsOf(key, planned)
        const z = wins + losses === 0 ? 0 : (wins - losses) / Math.sqrt(wins + losses)
        if (isFutile(z, seen, planned, alpha, settings)) ways.delete(key)
      }
    }
    let power = 0
    for (const [key, chance] of ways) {
      const { losses, wins } = countsOf(key, planned)
      if (isRejected(wins, losses)) power += chance
    }
    return power
  }
}

/** Wins and losses are kept in one number: a gate's ways are many. */
const countsOf = (key: number, planned: number) => ({ wins: Math.floor(key / (planned + 1)), losses: key % (planned + 1) })
