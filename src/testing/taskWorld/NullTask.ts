/** Coin tosses: no text has any effect, so every gain that is found is luck. */
import type { TaskSpec } from "./Rule.js"

const component = "system_prompt"

export const nullTask: TaskSpec = {
  name: "null",
  prefix: "NU",
  title: "Toss",
  seed: { [component]: "You foresee how a coin falls.\nAnswer with one JSON object of what falls." },
  formatComponent: null,
  rules: [{
    field: "toss",
    component,
    share: 1,
    unasked: 0.5,
    states: [],
    denies: [],
    phrasings: [
      "Old coins fall on heads.",
      "Above a hard table, say tails.",
      "A coin that was thrown high shows the side it began with.",
      "Two of a kind are followed by the other side.",
      "Think of the weight of the coin before you say anything.",
      "In the morning more coins show tails.",
      "When the thrower is left-handed, say heads.",
      "Foreign coins fall on the side with the number."
    ],
    contrary: "Do not think about it.",
    demand: (choose) => {
      const [right, naive] = choose("side", [["heads", "tails"], ["tails", "heads"]] as const)
      return { line: `Coin: ${choose("coin", ["a new one", "an old one", "foreign", "worn"])}`, right, naive }
    }
  }],
  traps: []
}
