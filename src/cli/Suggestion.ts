/** How many characters to change, add or remove to get from one word to the other (Levenshtein). */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** Longer words are nobody's slip of the finger; comparing them would only cost time. */
const lengthMax = 100

/** The known word that is nearest to what was written, if it is near enough to be meant. */
export const nearest = (written: string, known: Iterable<string>): string | undefined => {
  if (written.length > lengthMax) return undefined
  let best: { readonly word: string; readonly cost: number } | undefined
  for (const word of known) {
    const cost = distance(written.toLowerCase(), word.toLowerCase())
    // Of a word of three letters, two others are another word.
    const costMax = Math.min(Math.max(2, Math.floor(word.length / 3)), Math.floor(word.length / 2))
    if (cost <= costMax && (best === undefined || cost < best.cost)) best = { word, cost }
  }
  return best?.word ?? begunWith(written, known)
}

/** The one known word of which the beginning was written. */
const begunWith = (written: string, known: Iterable<string>): string | undefined => {
  const begun = written.length < 3 ? [] : [...known].filter((word) => word.startsWith(written))
  return begun.length === 1 ? begun[0] : undefined
}
