/** Reads the fields of an artifact and collects everything that is wrong with them, each under the field's name. */

export interface Problem {
  /** `publication.report_path`. */
  readonly field: string
  /** What was expected and what was found. */
  readonly text: string
}

export interface NumberRule {
  readonly above?: number
  readonly min?: number
  readonly max?: number
  readonly below?: number
  readonly whole?: true
}

/** One object of an artifact. What cannot be read is undefined, and is in `problems`. */
export class Fields {
  private constructor(
    private readonly path: string,
    /** Undefined where the object itself is missing, which is one problem and not one for each field in it. */
    private readonly value: Readonly<Record<string, unknown>> | undefined,
    readonly problems: Array<Problem>
  ) {}

  static of(value: unknown): Fields {
    const fields = new Fields("", isObject(value) ? value : undefined, [])
    if (!isObject(value)) fields.problems.push({ field: "$", text: `expected a JSON object, found ${shown(value)}` })
    return fields
  }

  get isPresent(): boolean {
    return this.value !== undefined
  }

  entries(): ReadonlyArray<readonly [key: string, value: unknown]> {
    return Object.entries(this.value ?? {})
  }

  has(key: string): boolean {
    return this.value !== undefined && Object.hasOwn(this.value, key)
  }

  /** Whether the very value is there, a text or null. */
  holds(key: string, value: unknown): boolean {
    return this.has(key) && this.get(key) === value
  }

  object(key: string): Fields {
    const value = this.get(key)
    if (this.value !== undefined && !isObject(value)) this.refuse(key, "an object")
    return new Fields(this.nameOf(key), isObject(value) ? value : undefined, this.problems)
  }

  array(key: string): ReadonlyArray<unknown> | undefined {
    const value = this.get(key)
    return Array.isArray(value) ? value : this.refuse(key, "an array")
  }

  /** A text that is not blank. */
  text(key: string, pattern = /\S/, form = "a text that is not blank"): string | undefined {
    const value = this.get(key)
    return typeof value === "string" && pattern.test(value) ? value : this.refuse(key, form)
  }

  choice<const A extends string | number>(key: string, choices: ReadonlyArray<A>): A | undefined {
    const found = choices.find((choice) => choice === this.get(key))
    return found ?? this.refuse(key, choices.join(" or "))
  }

  boolean(key: string): boolean | undefined {
    const value = this.get(key)
    return typeof value === "boolean" ? value : this.refuse(key, "true or false")
  }

  number(key: string, rule: NumberRule = {}): number | undefined {
    const value = this.get(key)
    const fits = typeof value === "number" && Number.isFinite(value)
      && (rule.whole !== true || Number.isSafeInteger(value))
      && (rule.above === undefined || value > rule.above)
      && (rule.min === undefined || value >= rule.min)
      && (rule.max === undefined || value <= rule.max)
      && (rule.below === undefined || value < rule.below)
    return fits ? value : this.refuse(key, inWords(rule))
  }

  /** An instant in UTC as RFC 3339 writes it, in Unix milliseconds. */
  instant(key: string): number | undefined {
    const value = this.get(key)
    const ms = typeof value === "string" ? instantOf(value) : undefined
    return ms ?? this.refuse(key, "a UTC time such as 2026-11-25T20:00:00Z")
  }

  /** Notes that a field is not what was expected. */
  refuse(key: string, expected: string): undefined {
    if (this.value !== undefined) {
      this.problems.push({ field: this.nameOf(key), text: `expected ${expected}, found ${shown(this.get(key))}` })
    }
    return undefined
  }

  private get(key: string): unknown {
    return this.has(key) ? this.value![key] : undefined
  }

  private nameOf(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => {
  if (value === undefined) return "nothing"
  const text = JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 119)}…` : text
}

const inWords = ({ above, below, max, min, whole }: NumberRule): string => {
  const limits = [
    above !== undefined && `above ${above}`,
    min !== undefined && `of ${min} or more`,
    max !== undefined && `of at most ${max}`,
    below !== undefined && `below ${below}`
  ].filter(Boolean)
  return [whole === true ? "a whole number" : "a number", limits.join(" and ")].filter(Boolean).join(" ")
}

/** The instant in UTC as RFC 3339 writes it, in whole seconds: many readers of such times take no fractions. */
export const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z")

/** The instant in Unix milliseconds, or undefined for anything but a real day and time in UTC. */
export const instantOf = (text: string): number | undefined => {
  const [, day] = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|\+00:00)$/.exec(text) ?? []
  const ms = day === undefined ? Number.NaN : Date.parse(text)
  if (Number.isNaN(ms)) return undefined
  // 30 February would pass as 2 March.
  return new Date(ms).toISOString().startsWith(day!) ? ms : undefined
}
