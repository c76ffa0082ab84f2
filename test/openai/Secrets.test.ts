import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { mayHoldSecrets, withoutSecrets } from "../../src/openai/Secrets.js"

/** What web tokens are, word by word: it splits a text where the code under test looks around their beginnings. */
const withoutWebTokens = (text: string) =>
  text.replace(/(?<![\w-])[\w-]+(?:\.[\w-]+)+/g, (chain) => {
    const words = chain.split(".")
    const kept: Array<string> = []
    for (let place = 0; place < words.length; place++) {
      const start = words[place]!.indexOf("eyJ")
      const isToken = start !== -1 && words[place]!.length - start >= 9 && (words[place + 1]?.length ?? 0) >= 6
      kept.push(isToken ? `${words[place]!.slice(0, start)}[REDACTED]` : words[place]!)
      if (isToken) place += 2
    }
    return kept.join(".")
  })

const someOf = (...parts: ReadonlyArray<string>) =>
  FastCheck.array(FastCheck.constantFrom(...parts), { maxLength: 24 }).map((chosen) => chosen.join(""))

const noise = someOf(
  "AI ",
  "AK ",
  "AS ",
  "eyJ ",
  "xox ",
  "xoxb ",
  "sk ",
  "----- ",
  "_ ",
  "bearer ",
  "gh_ ",
  "tau_ ",
  "\n"
)
const shapes = [
  "sk-abcdefghijkl",
  "tau_abcd_ABCDEFGHIJKLMNOP",
  "tau-run-0123456789abcdef",
  "AKIAABCDEFGHIJKL",
  "ASIAABCDEFGHIJKL",
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "gsk_", "xai-", "ek_", "AIza"].map(
    (literal) => `${literal}abcdefghijklmnopqrst`
  ),
  "xoxb-abcdefghij",
  "Bearer abcdefghijklmnop",
  "bearer abcdefghijklmnop",
  "-----BEGIN RSA PRIVATE KEY-----",
  "eyJabcdef.abcdef.abcdef"
]

describe("secrets by their shape", () => {
  it.prop(
    "are taken out of whatever they stand in, and nothing else is",
    [noise, FastCheck.constantFrom(...shapes), FastCheck.constantFrom("", "!")],
    ([around, shape, end]) => {
      const text = `${around} ${shape}${end}`
      expect(mayHoldSecrets(text)).toBe(true)
      // The rest of a key's armour is all that may be base64.
      expect(withoutSecrets(text)).toEqual({ text: `${around} [REDACTED]${end}`, count: 1 })
    }
  )

  it("are found where far more begins like one", () => {
    for (const shape of shapes) {
      for (const hint of ["eyJ ", "ASIA ", "xoxb ", "hf_ "]) {
        const many = hint.repeat(5_000)
        expect(withoutSecrets(`${many}${shape}`)).toEqual({ text: `${many}[REDACTED]`, count: 1 })
      }
    }
  })

  it("are not suspected in prose", () => {
    for (const text of ["You are an AI that asks.", "# Rules\n-----\n- ASK, OK? AKA", "IJK, a_b"]) {
      expect(mayHoldSecrets(text)).toBe(false)
    }
  })

  it.prop(
    "are web tokens by their words",
    [someOf("eyJ", "abcdef", "a", "-", "_", ".", ".", " ", "\"", "eyJabcdef.abcdef.abcdef")],
    ([text]) => {
      expect(withoutSecrets(text).text).toBe(withoutWebTokens(text))
    },
    { fastCheck: { numRuns: 3_000 } }
  )
})
