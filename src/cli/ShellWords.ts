/** A command line as the words a shell would make of it, quotes and backslashes alone: no shell is involved. Loads no Effect. */

const word = /(?:[^\s"'\\]+|"(?:[^"\\]|\\[^])*"|'[^']*'|\\[^])+/y
const part = /"((?:[^"\\]|\\[^])*)"|'([^']*)'|\\([^])|([^\s"'\\]+)/g

/** Null when a quote is not closed or a backslash ends the line. */
export const shellWords = (line: string): ReadonlyArray<string> | null => {
  const words: Array<string> = []
  for (let at = 0;;) {
    at += /^\s*/.exec(line.slice(at))![0].length
    if (at === line.length) return words
    word.lastIndex = at
    const found = word.exec(line)?.[0]
    if (found === undefined) return null
    at += found.length
    if (at < line.length && !/\s/.test(line[at]!)) return null
    words.push(
      found.replaceAll(
        part,
        (_, double?: string, single?: string, escaped?: string, plain?: string) =>
          double === undefined ? single ?? escaped ?? plain ?? "" : double.replaceAll(/\\(["\\$`])/g, "$1")
      )
    )
  }
}
