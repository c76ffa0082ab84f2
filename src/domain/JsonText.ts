/** A JSON parser that knows where things are: syntax errors have a line and a column, and no key is lost unseen. */
import { shown } from "./shown.js"
import { roundedWhole } from "./WholeNumber.js"

/** A key, or a number, that the JSON grammar allows and that would be something else than the author meant. */
export interface KeyProblem {
  readonly path: string
  readonly text: string
}

export type JsonText =
  | { readonly _tag: "value"; readonly value: unknown; readonly problems: ReadonlyArray<KeyProblem> }
  | { readonly _tag: "syntax"; readonly line: number; readonly column: number; readonly text: string }

/** Deeper nesting than this is a mistake or an attack on the stack. */
const depthMax = 500

/** `$.scoring[1].weight`, and `$["a b"]` for a key that is no plain word. */
export const pathOf = (parent: string, key: string | number): string =>
  typeof key === "number"
    ? `${parent}[${key}]`
    : /^[A-Za-z_][A-Za-z0-9_]*$/.test(key)
    ? `${parent}.${key}`
    : `${parent}[${shown(key)}]`

class Syntax extends Error {
  constructor(readonly offset: number, message: string) {
    super(message)
  }
}

/** Parses a whole file; or, with its number, a line of a file of lines, so that places are those in the file. */
export const parseJson = (text: string, line: number | null = null): JsonText => {
  const parser = new Parser(text, line)
  try {
    return { _tag: "value", value: parser.document(), problems: parser.problems }
  } catch (error) {
    if (!(error instanceof Syntax)) throw error
    return { _tag: "syntax", ...parser.placeOf(error.offset), text: error.message }
  }
}

class Parser {
  private at = 0
  readonly problems: Array<KeyProblem> = []
  private readonly end: string

  constructor(private readonly text: string, private readonly line: number | null) {
    this.end = line === null ? "the end of the file" : "the end of the line"
  }

  /** Line and column, both from 1. */
  placeOf(offset: number) {
    const before = this.text.slice(0, offset).split(/\r\n|\n|\r/)
    return { line: (this.line ?? 1) - 1 + before.length, column: before.at(-1)!.length + 1 }
  }

  document(): unknown {
    const value = this.value("$", 0)
    this.blanks()
    if (this.at < this.text.length) throw this.expected(this.end)
    return value
  }

  private value(path: string, depth: number): unknown {
    if (depth > depthMax) throw new Syntax(this.at, `expected at most ${depthMax} levels of nesting, found more`)
    this.blanks()
    const first = this.text[this.at]
    if (first === "{") return this.object(path, depth)
    if (first === "[") return this.array(path, depth)
    if (first === "\"") return this.string()
    const word = this.match(/-?\d[\d.eE+-]*|[A-Za-z]+/y)
    if (word === "true" || word === "false" || word === "null") return JSON.parse(word)
    if (word !== undefined && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(word)) {
      const number = Number(word)
      if (!Number.isFinite(number)) {
        throw new Syntax(this.at - word.length, `expected a smaller number at ${path}, found ${word.slice(0, 20)}`)
      }
      if (roundedWhole(word) !== null) {
        this.problems.push({
          path,
          text:
            `expected a number that can be read as it is written, found ${word}, which would be ${number}; write it as a text`
        })
      }
      return number
    }
    this.at -= word?.length ?? 0
    throw this.expected("a value")
  }

  private object(path: string, depth: number): unknown {
    const object: Record<string, unknown> = {}
    this.at += 1
    this.blanks()
    if (this.skip("}")) return object
    do {
      this.blanks()
      if (this.text[this.at] !== "\"") throw this.expected("a key in double quotes")
      const position = this.at
      const key = this.string()
      this.blanks()
      if (!this.skip(":")) throw this.expected("\":\"")
      const here = pathOf(path, key)
      const value = this.value(here, depth + 1)
      if (key === "__proto__") this.problems.push({ path: here, text: "unknown key \"__proto__\"" })
      else if (Object.hasOwn(object, key)) {
        this.problems.push({
          path: here,
          text: `expected each key once, found ${shown(key)} again ${this.place(position)}`
        })
      } else object[key] = value
      this.blanks()
    } while (this.skip(","))
    if (!this.skip("}")) throw this.expected("\",\" or \"}\"")
    return object
  }

  private array(path: string, depth: number): unknown {
    const array: Array<unknown> = []
    this.at += 1
    this.blanks()
    if (this.skip("]")) return array
    do {
      array.push(this.value(pathOf(path, array.length), depth + 1))
      this.blanks()
    } while (this.skip(","))
    if (!this.skip("]")) throw this.expected("\",\" or \"]\"")
    return array
  }

  private string(): string {
    const start = this.at
    this.at += 1
    do this.match(plainCharacters)
    while (this.match(escape) !== undefined)
    if (this.skip("\"")) return JSON.parse(this.text.slice(start, this.at)) as string
    if (this.at >= this.text.length) throw new Syntax(start, `expected a string that ends, found ${this.end}`)
    throw this.text[this.at] === "\\"
      ? new Syntax(
        this.at,
        `expected an escape such as \\n or \\u00e9, found ${shown(this.text.slice(this.at, this.at + 2))}`
      )
      : new Syntax(this.at, `expected a string on one line, found the control character ${shown(this.text[this.at])}`)
  }

  private blanks(): void {
    this.match(/[ \t\r\n]+/y)
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    this.at += found?.length ?? 0
    return found
  }

  private skip(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at += 1
    return true
  }

  private expected(what: string): Syntax {
    const found = this.text.slice(this.at, this.at + 12).split(/\s/)[0]!
    const hint = /^(\/\/|\/\*|#)/.test(found)
      ? "; JSON has no comments"
      : found.startsWith("'")
      ? "; JSON takes double quotes"
      : /[}\]]/.test(found[0] ?? "") && /,\s*$/.test(this.text.slice(0, this.at))
      ? "; JSON allows no comma after the last one"
      : ""
    const end = this.at >= this.text.length ? this.end : shown(found === "" ? this.text[this.at] : found)
    return new Syntax(this.at, `expected ${what}, found ${end}${hint}`)
  }

  private place(offset: number): string {
    const { line, column } = this.placeOf(offset)
    return `at line ${line}, column ${column}`
  }
}

// oxlint-disable-next-line no-control-regex -- JSON forbids exactly these.
const plainCharacters = /[^"\\\u0000-\u001f]+/y
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
