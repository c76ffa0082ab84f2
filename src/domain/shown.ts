/** A value in the words of an error. */
const shownMax = 80

/** A value as an error shows it: on one line, without control characters, cut when long. */
export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing"
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`)
  return safe.length > shownMax ? `${safe.slice(0, shownMax)}…` : safe
}
