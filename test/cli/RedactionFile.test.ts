import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadRedaction } from "../../src/cli/RedactionFile.js"

const folder = mkdtempSync(join(tmpdir(), "tau-redaction-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const load = (rules: unknown) => {
  const file = join(folder, "redact.json")
  writeFileSync(file, JSON.stringify(rules))
  return Effect.runPromise(Effect.either(loadRedaction(file, true)))
}
const problemsOf = async (rules: unknown) =>
  Either.match(await load(rules), { onLeft: ({ problems }) => [...problems], onRight: () => [] })

describe("a file of redaction rules", () => {
  it("is read with what it leaves out", async () => {
    expect(Either.getOrThrow(await load({}))).toEqual({ defaults: true, patterns: [], jsonPaths: [], headers: [] })
    expect(Either.getOrThrow(
      await load({
        patterns: [{ pattern: "EMP-\\d{6}" }, { pattern: "x", flags: "i" }],
        json_paths: ["$.user"],
        headers: ["X-Account"]
      })
    )).toEqual({
      defaults: true,
      patterns: [{ source: "EMP-\\d{6}", flags: "" }, { source: "x", flags: "i" }],
      jsonPaths: ["$.user"],
      headers: ["x-account"]
    })
  })

  it("says of every value that has the wrong shape what was expected and what is there", async () => {
    expect(await problemsOf({ patterns: ["EMP"], json_paths: "$.user", headers: "x-account" })).toEqual([
      "$.patterns[0]: expected an object, found \"EMP\"",
      "$.json_paths: expected an array of strings, found \"$.user\"",
      "$.headers: expected an array of strings, found \"x-account\""
    ])
    expect(await problemsOf({ patterns: [{ patern: "x" }, { pattern: "x", flags: null }], header: [] })).toEqual([
      "$.header: unknown key \"header\"; did you mean \"headers\"?",
      "$.patterns[0].patern: unknown key \"patern\"; did you mean \"pattern\"?",
      "$.patterns[0].pattern: expected a string, found nothing",
      "$.patterns[1].flags: expected a string, found null"
    ])
  })

  it("names the flags of a pattern where they are what is wrong", async () => {
    expect(await problemsOf({ patterns: [{ pattern: "a", flags: "g" }, { pattern: "b", flags: "ii" }] })).toEqual([
      "$.patterns[0].flags: expected flags among i, m, s and u, each once, found \"g\"",
      "$.patterns[1].flags: expected flags among i, m, s and u, each once, found \"ii\""
    ])
  })
})
