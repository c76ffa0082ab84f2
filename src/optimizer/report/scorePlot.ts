/** The best score over the rollouts that it took, with its interval, as SVG text that needs nothing else. */
import { counted } from "../../domain/Figures.js"
import { visible } from "../../domain/TerminalText.js"
import { bestOf, type Incumbent, type SearchReport } from "./SearchReport.js"
import { score } from "./words.js"

const width = 640
const height = 360
const left = 60
const right = 620
const top = 50
const bottom = 300

const escaped = (text: string) =>
  visible(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const text = (x: number, y: number, content: string, more: string) =>
  `<text x="${round(x)}" y="${round(y)}"${more}>${escaped(content)}</text>`

const line = (x1: number, y1: number, x2: number, y2: number, kind: string) =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${kind}"/>`

const round = (value: number) => Math.round(value * 100) / 100

/** Colours that can be read on white, and others where the reader's screen is dark. */
const style = `<style>
.paper{fill:#fff}text{font:12px sans-serif;fill:#222}.title{font-size:14px;font-weight:bold}.small{font-size:11px;fill:#666}
.axis{stroke:#888}.grid{stroke:#ddd}.band{fill:#2f7d5b;opacity:.2}.best{fill:none;stroke:#2f7d5b;stroke-width:2}.dot{fill:#2f7d5b}
@media(prefers-color-scheme:dark){.paper{fill:#16181c}text{fill:#e6e6e6}.small{fill:#a0a4aa}.axis{stroke:#777}.grid{stroke:#333}
.band{fill:#63c99a}.best{stroke:#63c99a}.dot{fill:#63c99a}}
</style>`

export const scorePlot = (report: SearchReport): string => {
  const { algorithm, budget, incumbents, runId } = report
  const steps = incumbents.toSorted((a, b) => a.rollouts - b.rollouts)
  const end = Math.max(1, budget.rollouts.spent, ...steps.map(({ rollouts }) => rollouts))
  const x = (rollouts: number) => left + (right - left) * rollouts / end
  const y = (value: number) => bottom - (bottom - top) * Math.min(1, Math.max(0, value))
  const last = steps.at(-1)
  const title = `Best score of ${algorithm} over rollouts`
  const told = last === undefined
    ? "nothing was scored"
    : `${score(last.mean)} [${score(last.low)}, ${score(last.high)}] after ${counted(last.rollouts, "rollout")}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(`${title}: ${told}`)}</title>`,
    style,
    `<rect width="${width}" height="${height}" class="paper"/>`,
    text(left, 20, title, " class=\"title\""),
    text(left, 38, shortened(`run ${runId}: ${told}${wonBy(report)}`), " class=\"small\""),
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((value) => [
      line(left, y(value), right, y(value), value === 0 ? "axis" : "grid"),
      text(left - 8, y(value) + 4, value.toFixed(2), " class=\"small\" text-anchor=\"end\"")
    ]),
    ...ticks(end).flatMap((rollouts) => [
      line(x(rollouts), bottom, x(rollouts), bottom + 5, "axis"),
      text(x(rollouts), bottom + 18, String(rollouts), " class=\"small\" text-anchor=\"middle\"")
    ]),
    line(left, top, left, bottom, "axis"),
    text((left + right) / 2, bottom + 42, "rollouts", " text-anchor=\"middle\""),
    text(
      16,
      (top + bottom) / 2,
      "best mean score",
      ` text-anchor="middle" transform="rotate(-90 16 ${(top + bottom) / 2})"`
    ),
    ...(steps.length === 0 ? [] : drawn(steps, end, x, y)),
    "</svg>\n"
  ].join("\n")
}

const wonBy = (report: SearchReport) => {
  const winner = bestOf(report)
  return winner === null ? "" : `, by candidate ${winner.n}`
}

const shortened = (content: string) => content.length > 95 ? `${content.slice(0, 94)}…` : content

/** A best score holds until the next one, so both the line and its band go in steps. */
const drawn = (
  steps: ReadonlyArray<Incumbent>,
  end: number,
  x: (rollouts: number) => number,
  y: (value: number) => number
): ReadonlyArray<string> => {
  const stepped = (value: (step: Incumbent) => number) =>
    steps.flatMap((step, index) => {
      const until = steps[index + 1]?.rollouts ?? end
      return [[x(step.rollouts), y(value(step))], [x(until), y(value(step))]] as const
    })
  const points = (places: ReadonlyArray<readonly [number, number]>) =>
    places.map(([across, down]) => `${round(across)},${round(down)}`).join(" ")
  const band = [...stepped(({ high }) => high), ...stepped(({ low }) => low).toReversed()]
  return [
    `<polygon points="${points(band)}" class="band"/>`,
    `<polyline points="${points(stepped(({ mean }) => mean))}" class="best"/>`,
    ...steps.map((step) =>
      `<circle cx="${round(x(step.rollouts))}" cy="${round(y(step.mean))}" r="3" class="dot"><title>${
        escaped(
          `${score(step.mean)} [${score(step.low)}, ${score(step.high)}] from ${counted(step.rollouts, "rollout")} on`
        )
      }</title></circle>`
    )
  ]
}

/** Round numbers from 0 on, at most seven of them. */
const ticks = (end: number): ReadonlyArray<number> => {
  const rough = end / 6
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, rough)))
  const step = Math.max(1, unit * ([1, 2, 5, 10].find((factor) => unit * factor >= rough) ?? 10))
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, n) => n * step)
}
