import { assert, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { TypeScan } from "../../src/openai/TypeScan.js"

const typeOf = (json: string, cut = json.length): string | null => {
  const bytes = Buffer.from(json)
  const scan = new TypeScan()
  scan.read(bytes.subarray(0, cut))
  scan.read(bytes.subarray(cut))
  return scan.type
}

const value = FastCheck.oneof(
  FastCheck.jsonValue({ maxDepth: 3 }),
  FastCheck.constantFrom("type", "response.create", "\"type\":\"a\"", "\\", { type: "inner" }, ["type", "x"])
)

it.prop("the type of a message is what a parser finds, however the bytes are cut", [
  FastCheck.array(FastCheck.tuple(FastCheck.constantFrom("type", "ty\"pe", "a", "\\"), value), { maxLength: 6 }),
  FastCheck.nat(200),
  FastCheck.constantFrom("", " ", "\n")
], ([members, cut, space]) => {
  const json = `{${
    members.map(([key, said]) => `${JSON.stringify(key)}${space}:${space}${JSON.stringify(said)}`).join(`${space},`)
  }}`
  const parsed = JSON.parse(json) as { readonly type?: unknown }
  if (members.filter(([key]) => key === "type").every(([, said]) => typeof said === "string")) {
    assert.strictEqual(typeOf(json, cut), parsed.type ?? null, json)
  }
})

it("the type of a message may be written in escapes, and is none where it is as long as a text", () => {
  assert.strictEqual(typeOf("{\"\\u0074ype\":\"a\\u002eb\"}"), "a.b")
  assert.isNull(typeOf(`{"type":"${"a".repeat(200)}"}`))
  assert.isNull(typeOf("[\"type\",\"a\"]"))
  assert.isNull(typeOf("not JSON"))
})
