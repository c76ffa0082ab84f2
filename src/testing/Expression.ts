/** Finds a calculation in a question and works it out: a tokenizer and a recursive descent parser, no evaluation of code. */
import { add, divide, multiply, negate, NoAnswer, parseRational, power, type Rational, remainder } from "./Rational.js"

export interface Calculation {
  /** The calculation as it was understood, e.g. `2 + 3 * 4`. */
  readonly text: string
  /** The result, or why there is none. */
  readonly result: Rational | NoAnswer
}

/** Longest question, deepest nesting and longest chain that is looked at. */
const questionMax = 20_000
const depthMax = 40
const operationsMax = 500

type Token = { readonly kind: "number" | "operator" | "other"; readonly text: string }

const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/\bto the power of\b|\braised to\b/g, "^"],
  [/\b(multiplied by|times)\b/g, "*"],
  [/\b(divided by|over)\b/g, "/"],
  [/\bplus\b/g, "+"],
  [/\bminus\b/g, "-"],
  [/\b(modulo|mod)\b/g, "%"],
  [/\bsquared\b/g, "^ 2"],
  [/\bcubed\b/g, "^ 3"],
  [/%\s*of\b/g, "/ 100 *"],
  [/\*\*/g, "^"],
  [/[−–]/g, "-"],
  [/[×·⋅]/g, "*"],
  [/÷/g, "/"],
  // An x multiplies only between numbers.
  [/(?<=[\d)]\s*)x(?=\s*[-(.\d])/g, "*"]
]

const tokenize = (question: string): ReadonlyArray<Token> => {
  let text = question.slice(0, questionMax).toLowerCase()
  for (const [pattern, operator] of words) text = text.replace(pattern, operator)
  const tokens: Array<Token> = []
  for (const [found] of text.matchAll(/\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|[-+*/^%()]|[^\s\d]/g)) {
    const kind = /\d/.test(found) ? "number" : /[-+*/^%()]/.test(found) ? "operator" : "other"
    tokens.push({ kind, text: found })
  }
  return tokens
}

type Step = (() => Rational) & { readonly operations: number }
const step = (compute: () => Rational, operations: number): Step => Object.assign(compute, { operations })

const infix: Readonly<Record<string, (a: Rational, b: Rational) => Rational>> = {
  "+": add,
  "-": (a, b) => add(a, negate(b)),
  "*": multiply,
  "/": divide,
  "%": remainder
}

/** Reads the longest calculation that begins at a token. What it reads is computed later: a misfit must cost nothing. */
class Parser {
  private depth = 0

  constructor(private readonly tokens: ReadonlyArray<Token>, public place: number) {}

  sum(): Step | null {
    return this.chain(["+", "-"], () => this.product())
  }

  private product(): Step | null {
    return this.chain(["*", "/", "%"], () => this.unary())
  }

  private chain(operators: ReadonlyArray<string>, operand: () => Step | null): Step | null {
    let left = operand()
    while (left !== null && left.operations < operationsMax && operators.includes(this.peek())) {
      const before = this.place
      const apply = infix[this.tokens[this.place++]!.text]!
      const [a, b] = [left, operand()]
      if (b === null) {
        // The operator belongs to the sentence: "what is 2 + 2 - please".
        this.place = before
        return left
      }
      left = step(() => apply(a(), b()), a.operations + b.operations + 1)
    }
    return left
  }

  private unary(): Step | null {
    const sign = this.peek()
    if (sign !== "-" && sign !== "+") return this.power()
    this.place++
    const operand = this.nested(() => this.unary())
    if (operand === null || sign === "+") return operand
    return step(() => negate(operand()), operand.operations)
  }

  private power(): Step | null {
    const base = this.atom()
    if (base === null || this.peek() !== "^") return base
    const before = this.place++
    const exponent = this.nested(() => this.unary())
    if (exponent === null) {
      this.place = before
      return base
    }
    return step(() => power(base(), exponent()), base.operations + exponent.operations + 1)
  }

  private atom(): Step | null {
    const token = this.tokens[this.place]
    if (token?.kind === "number") {
      this.place++
      return step(() => parseRational(token.text), 0)
    }
    if (token?.text !== "(") return null
    this.place++
    const inner = this.nested(() => this.sum())
    if (inner === null || this.peek() !== ")") return null
    this.place++
    return inner
  }

  private nested(read: () => Step | null): Step | null {
    if (this.depth === depthMax) return null
    this.depth++
    const found = read()
    this.depth--
    return found
  }

  private peek(): string {
    return this.tokens[this.place]?.text ?? ""
  }
}

const compute = (found: Step): Rational | NoAnswer => {
  try {
    return found()
  } catch (error) {
    if (error instanceof NoAnswer) return error
    throw error
  }
}

const write = (tokens: ReadonlyArray<Token>): string => {
  let text = ""
  let sign = true
  for (const { kind, text: token } of tokens) {
    const tight = text === "" || text.endsWith("(") || token === ")" || text.endsWith("~")
    text += (tight ? "" : " ") + token
    // A sign stands close to its number.
    if (sign && (token === "-" || token === "+")) text += "~"
    sign = kind === "operator" && token !== ")"
  }
  return text.replaceAll("~", "")
}

/** The calculation with the most operations in the question, the first of equals; null when there is none. */
export const findCalculation = (question: string): Calculation | null => {
  const tokens = tokenize(question)
  let best: { readonly found: Step; readonly from: number; readonly to: number } | null = null
  for (let from = 0; from < tokens.length;) {
    const parser = new Parser(tokens, from)
    const found = tokens[from]!.kind === "other" ? null : parser.sum()
    if (found !== null && found.operations > (best?.found.operations ?? 0)) best = { found, from, to: parser.place }
    from = found === null ? from + 1 : parser.place
  }
  return best === null ? null : { text: write(tokens.slice(best.from, best.to)), result: compute(best.found) }
}
