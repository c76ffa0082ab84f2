import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { loadConfig } from "../../src/cli/ConfigFile.js"
import { configHash } from "../../src/cli/ConfigHash.js"
import type { RunConfig } from "../../src/domain/RunConfig.js"

const folder = mkdtempSync(join(tmpdir(), "tau-config-"))
mkdirSync(join(folder, "data"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const write = (name: string, content: string) => writeFileSync(join(folder, name), content)

const load = (config: object) => {
  write("tau.json", JSON.stringify(config))
  return Effect.runPromise(Effect.either(loadConfig(join(folder, "tau.json"))))
}
const problemsOf = async (config: object) =>
  Either.match(await load(config), { onLeft: ({ problems }) => [...problems], onRight: () => [] })

const hashOf = (config: RunConfig) => configHash(config, "sim/arithmetic", folder)

const [one, two] = [{ prompt: "What is 2 + 2?", expected: "4" }, { prompt: "Größe?", expected: "5" }]

describe("examples in files", () => {
  it("are read from the config's folder, as lines or as an array, and are part of the config", async () => {
    write("data/train.jsonl", `\uFEFF${JSON.stringify(one)}\r\n\n${JSON.stringify(two)}\n`)
    write("val.json", JSON.stringify([two]))
    const named = await load({ optimize: "data/train.jsonl", validate: "val.json" })
    const inline = await load({ optimize: [one, two], validate: [two] })
    const [first, second] = [Either.getOrThrow(named).config, Either.getOrThrow(inline).config]
    expect(first).toEqual(second)
    expect(hashOf(first)).toBe(hashOf(second))
    write("LOUD.NDJSON", JSON.stringify(one))
    expect(Either.getOrThrow(await load({ optimize: "LOUD.NDJSON" })).config.optimize).toEqual([one])
    write("val.json", JSON.stringify([one]))
    const later = Either.getOrThrow(await load({ train: "data/train.jsonl", val: "val.json" })).config
    expect(later.validate).toEqual([one])
    expect(hashOf(later)).not.toBe(hashOf(first))
  })

  it("are told of by file and line too when the config cannot use them", async () => {
    write("unasked.jsonl", `${JSON.stringify(one)}\n\n{"question": "What is 3 + 3?"}\n`)
    expect(await problemsOf({ train: "unasked.jsonl" })).toEqual([
      expect.stringMatching(
        /^\$\.train: unasked\.jsonl: line 3: expected a "prompt", or "messages", found only "question"/
      )
    ])
    write("words.jsonl", `\r\n${JSON.stringify({ ...one, expected: "four" })}`)
    write("words.json", JSON.stringify([one, { ...one, expected: "four" }]))
    const expected = "expected a number, or a text with a number in it, for the scorer \"numeric\", found \"four\""
    const scoring = [{ kind: "numeric" }]
    expect(await problemsOf({ optimize: "words.jsonl", validate: "words.json", scoring })).toEqual([
      `$.optimize: words.jsonl: line 2, $.expected: ${expected}`,
      `$.validate: words.json: $[1].expected: ${expected}`
    ])
    expect(await problemsOf({ optimize: [{ ...one, expected: "four" }], scoring })).toEqual([
      `$.optimize[0].expected: ${expected}`
    ])
  })

  it("are refused with the key, the file and the line", async () => {
    expect(await problemsOf({ optimize: "none.jsonl" })).toEqual([
      "$.optimize: none.jsonl: expected a file of examples, found no such file"
    ])
    write("bad.jsonl", `${JSON.stringify(one)}\n{"prompt": }\n[1]\n{"a": 1, "a": 2}\n`)
    expect(await problemsOf({ train: "bad.jsonl" })).toEqual([
      expect.stringMatching(/^\$\.train: bad\.jsonl: line 2, column 12: expected a value/),
      expect.stringMatching(
        /^\$\.train: bad\.jsonl: line 3: expected an object, an example on each line, found an array/
      ),
      expect.stringMatching(/^\$\.train: bad\.jsonl: line 4, \$\.a: .* again at line 4, column 10/)
    ])
    write("spread.jsonl", `${JSON.stringify(one)}\n{\n`)
    expect(await problemsOf({ optimize: "spread.jsonl" })).toEqual([
      expect.stringMatching(/^\$\.optimize: spread\.jsonl: line 2, column 2: .*, found the end of the line$/)
    ])
    write("lines.txt", `${JSON.stringify(one)}\n${JSON.stringify(two)}\n`)
    expect(await problemsOf({ validate: "lines.txt" })).toEqual([
      expect.stringMatching(/^\$\.validate: lines\.txt: expected one JSON array; .* ends in \.jsonl or \.ndjson$/)
    ])
    write("table.csv", "prompt,expected\nWhat is 2 + 2?,4\n")
    expect(await problemsOf({ optimize: "table.csv" })).toEqual([
      "$.optimize: table.csv: line 1, column 1: expected a value, found \"prompt,expec\"; " +
      "examples are one JSON array, or JSON lines under a name that ends in .jsonl"
    ])
    expect(await problemsOf({ optimize: "" })).toEqual([
      "$.optimize: expected the name of a file, found an empty text"
    ])
    write("object.json", "{}")
    expect(await problemsOf({ validate: "object.json" })).toEqual([
      expect.stringMatching(/^\$\.validate: object\.json: expected an array of objects, found an object/)
    ])
    writeFileSync(join(folder, "lines.jsonl.gz"), gzipSync(JSON.stringify(one)))
    expect(await problemsOf({ optimize: "lines.jsonl.gz" })).toEqual([
      "$.optimize: lines.jsonl.gz: expected UTF-8 text, found a gzip archive; unpack it"
    ])
    for (const name of ["empty.jsonl", "empty.json"]) {
      write(name, "\n")
      expect(await problemsOf({ optimize: name })).toEqual([
        `$.optimize: ${name}: expected examples, found an empty file`
      ])
    }
    write("twice.json", "[{\"prompt\": \"a\", \"expected\": \"b\",\n \"expected\": \"c\"}]")
    expect(await problemsOf({ optimize: "twice.json" })).toEqual([
      expect.stringMatching(/^\$\.optimize: twice\.json: \$\[0\]\.expected: .* again at line 2, column 2/)
    ])
    write("number.json", "[{\"prompt\": \"a\", \"expected\": \"b\"}, 7]")
    expect(await problemsOf({ optimize: "number.json" })).toEqual([
      expect.stringMatching(/^\$\.optimize: number\.json: \$\[1\]: expected an object, found 7/)
    ])
  })
})

describe("the message of an example", () => {
  it("is not the same for all of them", async () => {
    const config = (user: string, optimize: ReadonlyArray<object>) =>
      problemsOf({ optimize, executor: { kind: "chat", user }, resources: { system_prompt: "Add." } })
    expect(await config("Question: {prompt}", [one, two])).toEqual([
      "$.executor.user: expected a placeholder for a field of the example, such as {{prompt}}, found \"Question: {prompt}\""
    ])
    expect(await config("{{resources.system_prompt}} \\{{prompt}}", [one, two])).toHaveLength(1)
    expect(await config("Question: {{prompt}}", [one, two])).toEqual([])
    expect(await config("Say hello", [one])).toEqual([])
  })
})
