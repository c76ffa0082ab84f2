/** What a gate saw of tokens, failures and slices, for a person. */
import { compact, signed } from "../../domain/Figures.js"
import type { GuardRail } from "../GuardRails.js"
import { bounds, fitting, oneLine, score, table } from "./words.js"

/** A gate of no pairs has none. */
export const railsTable = (rails: ReadonlyArray<GuardRail>): ReadonlyArray<string> =>
  rails.length === 0 ? [] : table(rails, [
    { title: "", cell: ({ name, slice }) => fitting(slice === null ? name : oneLine(slice), 18) },
    { title: "state", cell: ({ state }) => state },
    { title: "old", align: "right", cell: ({ incumbent, name }) => figure(name, incumbent) },
    { title: "new", align: "right", cell: ({ candidate, name }) => figure(name, candidate) },
    {
      title: "change",
      cell: ({ change, interval: { high, low }, name }) =>
        name === "tokens"
          ? `×${change.toFixed(2)} [${low.toFixed(2)}, ${high?.toFixed(2) ?? "∞"}]`
          : `${signed(change)} ${bounds({ low, high: high ?? 1 })}`
    },
    {
      title: "bound",
      cell: ({ bound, name }) =>
        name === "tokens" ? `≤ ×${bound.toFixed(2)}` : `${name === "slice" ? "≥" : "≤"} ${signed(bound)}`
    }
  ])

const figure = (name: GuardRail["name"], value: number): string =>
  name === "tokens" ? compact(Math.round(value)) : score(value)
