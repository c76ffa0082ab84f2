/** What the simulated models have instead of chance: hashes of what was asked, so that the order of requests is no matter. */
import { createHash } from "node:crypto"

const digest = (parts: ReadonlyArray<string>): Buffer => createHash("sha256").update(JSON.stringify(parts)).digest()

/** A number in [0, 1), even over all inputs and the same for the same parts. */
export const uniform = (...parts: ReadonlyArray<string>): number => digest(parts).readUIntBE(0, 6) / 2 ** 48

/** One of the items, by the same rule. */
export const pick = <A>(items: readonly [A, ...ReadonlyArray<A>], ...parts: ReadonlyArray<string>): A =>
  items[Math.floor(uniform(...parts) * items.length)]!

/** A short id made of the parts. */
export const idOf = (...parts: ReadonlyArray<string>): string => digest(parts).toString("hex").slice(0, 24)
