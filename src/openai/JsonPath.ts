/** A small part of JSONPath (RFC 9535), enough to name what is not for the record: `$.user`, `$.messages[*].content`. Loads nothing. */
import { isObject } from "./Json.js"

type Step = { readonly kind: "key"; readonly key: string } | { readonly kind: "every" } | { readonly kind: "below" } | {
  readonly kind: "index"
  readonly index: number
}

export type JsonPath = ReadonlyArray<Step>

const stepPattern =
  /\.\.(?=[A-Za-z_*])|\.?\*|\[\*\]|\.?([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]/y

/** The steps of `$.a[*].b`, `$['a'][0]`, `$..a`; or what is wrong with the path. */
export const parseJsonPath = (text: string): JsonPath | string => {
  if (!text.startsWith("$")) return "expected a path that begins with $"
  const steps: Array<Step> = []
  stepPattern.lastIndex = 1
  while (stepPattern.lastIndex < text.length) {
    const from = stepPattern.lastIndex
    const match = stepPattern.exec(text)
    const isBare = /^[A-Za-z_*]/.test(match?.[0] ?? "")
    if (match === null || (isBare && steps.at(-1)?.kind !== "below")) {
      return `expected .name, ['name'], [0], [*] or ..name at character ${from + 1}`
    }
    const key = match[1] ?? match[3] ?? match[4]
    if (match[0] === "..") steps.push({ kind: "below" })
    else if (key !== undefined) steps.push({ kind: "key", key })
    else if (match[2] !== undefined) steps.push({ kind: "index", index: Number(match[2]) })
    else steps.push({ kind: "every" })
  }
  const last = steps.at(-1)
  return last === undefined || last.kind === "below" ? "expected a path to something within the document" : steps
}

/** Puts `by` in the place of whatever the path leads to, within the value itself. How many places those were. */
export const replaceAt = (value: unknown, path: JsonPath, by: unknown): number => {
  const [step, ...rest] = path
  if (step === undefined) return 0
  if (step.kind === "below") {
    const here = replaceAt(value, rest, by)
    return childrenOf(value).reduce<number>((sum, [, child]) => sum + replaceAt(child, path, by), here)
  }
  const places = childrenOf(value).filter(([place]) =>
    step.kind === "every" || place === (step.kind === "key" ? step.key : step.index)
  )
  let count = 0
  for (const [place, child] of places) {
    if (rest.length > 0) count += replaceAt(child, rest, by)
    else if (child !== by) {
      Object.defineProperty(value, place, { value: by, configurable: true, enumerable: true, writable: true })
      count += 1
    }
  }
  return count
}

const childrenOf = (value: unknown): ReadonlyArray<readonly [place: string | number, child: unknown]> => {
  if (Array.isArray(value)) return value.map((child, index) => [index, child])
  return isObject(value) ? Object.entries(value) : []
}
