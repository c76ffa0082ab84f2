/** Plots of a comparison as SVG text, drawn without a browser: what each arm earned, the paired differences, the interval. */
import { signed } from "../domain/Figures.js"
import type { Judged } from "./SignificanceReport.js"

const width = 640
const left = 150
const right = 610

/** What XML 1.0 has no place for, also not as a reference (section 2.2), shows as the sign of what cannot be shown. */
const escaped = (text: string) =>
  text.replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const text = (x: number, y: number, content: string, more = "") =>
  `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(content)}</text>`

const round = (value: number) => Math.round(value * 100) / 100

const number = (value: number) => Number(value.toPrecision(3)).toString()

/** How many values fall into each of the bins that cover [low, high]. */
const histogram = (values: ReadonlyArray<number>, low: number, high: number, bins: number): ReadonlyArray<number> => {
  const counts = Array<number>(bins).fill(0)
  for (const value of values) {
    const at = Math.min(bins - 1, Math.max(0, Math.floor((value - low) / (high - low) * bins)))
    counts[at] = counts[at]! + 1
  }
  return counts
}

const bars = (label: string, values: ReadonlyArray<number>, low: number, high: number, top: number, fill: string) => {
  const height = 70
  const counts = histogram(values, low, high, binsShown)
  const tallest = Math.max(1, ...counts)
  const step = (right - left) / binsShown
  const drawn = counts.map((count, bin) => {
    const tall = height * count / tallest
    return `<rect x="${round(left + bin * step + 1)}" y="${round(top + height - tall)}" width="${
      round(step - 2)
    }" height="${round(tall)}" fill="${fill}"><title>${count}</title></rect>`
  })
  return [
    text(10, top + 40, label),
    text(10, top + 56, `n = ${values.length}, most ${tallest}`, "class=\"small\""),
    ...drawn,
    `<line x1="${left}" y1="${top + height}" x2="${right}" y2="${top + height}" stroke="#888"/>`,
    text(left, top + height + 14, number(low), "class=\"small\""),
    text(right, top + height + 14, number(high), "class=\"small\" text-anchor=\"end\"")
  ]
}

const binsShown = 20

/** One picture of a significance report. */
export const comparisonSvg = (
  { baseline, comparison, failed, options: { alpha }, pValue, trained }: Judged
): string => {
  const before = baseline.cases.flatMap(({ rewards }) => rewards)
  const after = trained.cases.flatMap(({ rewards }) => rewards)
  const rewards = [...before, ...after]
  const low = rewards.reduce((least, one) => Math.min(least, one), 0)
  const high = rewards.reduce((most, one) => Math.max(most, one), 1)
  const reach = comparison.differences.reduce((most, one) => Math.max(most, Math.abs(one)), 1)
  const { bounds, meanDelta } = comparison
  const span = Math.max(0.1, Math.abs(bounds.low), Math.abs(bounds.high)) * 1.2
  const place = (delta: number) => left + (delta + span) / (2 * span) * (right - left)
  const y = 400
  const verdict = failed.length === 0 ? "pass" : `no pass: ${failed.join(", ")}`
  const lines = [
    text(10, 20, `${trained.head.suite.name} ${trained.head.suite.version}: ${verdict}`, "class=\"title\""),
    ...bars("baseline rewards", before, low, high, 35, "#7a8fa6"),
    ...bars("trained rewards", after, low, high, 140, "#2f7d5b"),
    ...(comparison.differences.length === 0
      ? [text(10, 285, "the episodes do not pair")]
      : bars("differences by case", comparison.differences, -reach, reach, 245, "#b0762b")),
    text(10, y - 4, "mean gain"),
    text(10, y + 12, `${round((1 - alpha) * 100)}% interval`, "class=\"small\""),
    `<line x1="${left}" y1="${y}" x2="${right}" y2="${y}" stroke="#ccc"/>`,
    `<line x1="${round(place(0))}" y1="${y - 22}" x2="${round(place(0))}" y2="${
      y + 14
    }" stroke="#888" stroke-dasharray="3 3"/>`,
    `<line x1="${round(place(bounds.low))}" y1="${y}" x2="${
      round(place(bounds.high))
    }" y2="${y}" stroke="#222" stroke-width="3"/>`,
    `<circle cx="${round(place(meanDelta))}" cy="${y}" r="5" fill="#222"/>`,
    text(place(0), y + 28, "0", "class=\"small\" text-anchor=\"middle\""),
    text(
      left,
      y + 48,
      `${signed(meanDelta, number)} [${number(bounds.low)}, ${number(bounds.high)}], p = ${
        number(pValue)
      }, ${comparison.test}, n = ${comparison.n}`
    )
  ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="470" viewBox="0 0 ${width} 470">`,
    "<style>text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#666}.title{font-weight:bold}</style>",
    `<rect width="${width}" height="470" fill="#fff"/>`,
    ...lines,
    "</svg>\n"
  ].join("\n")
}
