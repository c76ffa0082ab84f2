import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { defaultRules, Redactor } from "../../src/openai/Redaction.js"

const redactor = new Redactor(defaultRules)
const bodyText = (by: Redactor, text: string) => {
  const { bytes, count } = by.body(Buffer.from(text), null)
  return { text: Buffer.from(bytes).toString(), count }
}

describe("texts that are known to be secret", () => {
  const word = FastCheck.stringMatching(/^[a-z0-9+/=-]{8,20}$/)

  it.prop("are gone from JSON in which they stand, which is JSON still", [word, FastCheck.json()], ([secret, json]) => {
    const document = JSON.stringify({
      a: JSON.parse(json) as unknown,
      b: `x ${secret}`,
      [secret]: [`${secret}${secret}`]
    })
    const { count, text } = bodyText(redactor.knowing([secret]), document)
    expect(count).toBeGreaterThan(0)
    expect(text).not.toContain(secret)
    expect(JSON.parse(text)).toHaveProperty("b", "x [REDACTED]")
  })

  it("begin at no letter of an escape, and are found with every slash escaped", () => {
    const by = redactor.knowing(["n12345678/9"])
    expect(bodyText(by, String.raw`"\\n12345678/9"`).text).toBe(String.raw`"\\[REDACTED]"`)
    expect(bodyText(by, String.raw`"a\n12345678/9"`).text).toBe(String.raw`"a\n12345678/9"`)
    expect(bodyText(by, String.raw`"n12345678\/9"`).text).toBe(`"[REDACTED]"`)
  })

  it("cost no more the more often they stand there", () => {
    const started = performance.now()
    expect(bodyText(redactor.knowing(["k1234567"]), "k1234567 ".repeat(1_000_000)).count).toBe(1_000_000)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it("are gone where a text was cut within one, if more than half of it is there", () => {
    const by = redactor.knowing(["k-0123456789abcdef"])
    expect(bodyText(by, "{\"a\":\"see k-0123456789abcde").text).toBe("{\"a\":\"see [REDACTED]")
    expect(bodyText(by, "{\"a\":\"k-0123456789\",\"b\":\"k-0123456x\"}").text).toBe(
      "{\"a\":\"[REDACTED]\",\"b\":\"k-0123456x\"}"
    )
    expect(bodyText(by, "k-012345")).toMatchObject({ text: "k-012345", count: 0 })
    const repeating = redactor.knowing(["abababababababababab"])
    expect(bodyText(repeating, "x ababababababababababab").text).toBe("x [REDACTED]ab")
    expect(bodyText(repeating, "abababababcabababababab").text).toBe("abababababc[REDACTED]")
  })

  it("are gone as a whole where another one begins within them", () => {
    const by = redactor.knowing(["abcdefgh12345678", "first-abcdefgh12"])
    expect(bodyText(by, "{\"a\":\"first-abcdefgh12\"}").text).toBe("{\"a\":\"[REDACTED]\"}")
  })

  it.prop("are found however they are escaped", [
    word,
    FastCheck.array(FastCheck.nat(2), { minLength: 20, maxLength: 20 }),
    FastCheck.string()
  ], ([secret, ways, around]) => {
    const quoted = JSON.stringify(around).slice(1, -1)
    const escaped = [...secret].map((letter, place) =>
      ways[place] === 0
        ? `\\u00${letter.charCodeAt(0).toString(16)}`
        : letter === "/" && ways[place] === 1
        ? "\\/"
        : letter
    ).join("")
    const { text } = bodyText(redactor.knowing([secret]), `{"a":"${quoted} ${escaped} ${quoted}"}`)
    expect(text).not.toContain(secret)
    expect(JSON.parse(text)).toEqual({ a: `${around} [REDACTED] ${around}` })
  })

  it("are each caller's own", () => {
    const [first, second] = [redactor.knowing(["first-key-1"]), redactor.knowing(["second-key-2"])]
    expect(bodyText(first, "first-key-1 second-key-2").text).toBe("[REDACTED] second-key-2")
    expect(bodyText(second, "first-key-1 second-key-2").text).toBe("first-key-1 [REDACTED]")
    expect(redactor.knowing(["second-key-2"])).toBe(second)
    expect(redactor.knowing([])).toBe(redactor)
  })
})
