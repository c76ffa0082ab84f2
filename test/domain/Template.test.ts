import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { isConstant, render, renderResources } from "../../src/domain/Template.js"

const rendered = Either.getOrThrow<string, unknown>
const missing = (result: ReturnType<typeof render>) => Either.getOrThrow(Either.flip(result)).path

describe("Template", () => {
  it("fills strings as they are and anything else as JSON", () => {
    const scope = { prompt: "2 + 2?", a: { b: { c: "deep" } }, list: [1, { x: null }], n: 4, no: false }
    assert.strictEqual(
      rendered(render("{{prompt}} {{ a.b.c }} {{a.b}} {{list}} {{list.0}} {{list.1.x}} {{n}} {{no}}", scope)),
      `2 + 2? deep {"c":"deep"} [1,{"x":null}] 1 null 4 false`
    )
  })

  it("fills names of any script, those with marks of their own among them", () => {
    for (const name of ["質問", "سؤال", "प्रश्न", "คำถาม", "e\u0301nonce\u0301"]) {
      assert.deepStrictEqual(render(`Q: {{${name}.0}} {{ ${name} }}`, { [name]: ["x"] }), Either.right("Q: x [\"x\"]"))
    }
  })

  it("names the first field that is missing, and inherits none from JavaScript", () => {
    assert.strictEqual(missing(render("{{prompt}} {{a.b}} {{c}}", { prompt: "x", a: {} })), "a.b")
    for (const path of ["constructor", "__proto__", "a.length.x", "a.toString"]) {
      assert.strictEqual(missing(render(`{{${path}}}`, { a: "text" })), path)
    }
  })

  it("leaves braces that hold no path, and placeholders after a backslash", () => {
    const template = String.raw`{prompt} {{}} {{ a b }} {{#if}} {"a":{"b":1}} \{{prompt}}`
    assert.strictEqual(
      rendered(render(template, { prompt: "x" })),
      String.raw`{prompt} {{}} {{ a b }} {{#if}} {"a":{"b":1}} {{prompt}}`
    )
  })

  it("fills only resources where other braces belong to the text", () => {
    const template = String
      .raw`{{tone}} \{{tone}} {{resources.tone}} \{{resources.tone}} {{ resourcesx }} {{resources}}`
    assert.strictEqual(
      rendered(renderResources(template, { tone: "dry" })),
      String.raw`{{tone}} \{{tone}} dry {{resources.tone}} {{ resourcesx }} {{resources}}`
    )
    assert.strictEqual(missing(renderResources("{{resources.tone}}", {})), "resources.tone")
  })

  it("says the same of every example where it names no field of one", () => {
    for (const template of ["", "{{ a b }}", String.raw`\{{prompt}} and {{resources.tone}}`]) {
      assert.isTrue(isConstant(template), template)
    }
    assert.isFalse(isConstant("{{resources.tone}} {{prompt}}"))
  })

  it.prop("puts any text in unread, braces and dollar signs included", [FastCheck.fullUnicodeString()], ([value]) => {
    for (const text of [value, `{{prompt}}${value}`, `$&$1${value}`]) {
      assert.strictEqual(rendered(render("<{{prompt}}>", { prompt: text })), `<${text}>`)
    }
  })
})
