/** How the steps of a search hang together, by which each knows what it follows. */
import { hash } from "node:crypto"

/** Of a step: hex SHA-256 over its asks, as JSON, and over the chain of the step before it. */
export const chainOf = (before: string, asks: ReadonlyArray<unknown>): string =>
  hash("sha256", `${before}\n${JSON.stringify(asks)}`, "hex")

/** Of the latest steps of a search, the latest first, those that carry out what was asked for last: all but their first have no asks. */
export const askedAtOnce = <Step extends { readonly chain: string }>(
  steps: ReadonlyArray<Step>
): ReadonlyArray<Step> => {
  const first = steps.findIndex(({ chain }, index) => chain !== chainOf(steps[index + 1]?.chain ?? "", []))
  return steps.slice(0, first + 1)
}
