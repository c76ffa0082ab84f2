import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Announcer, type Screen } from "../../src/runtime/Announcer.js"

const conversation = Effect.gen(function*() {
  const announcer = yield* Announcer
  yield* announcer.say("new run")
  yield* announcer.show("1/3")
  yield* announcer.show("2/3")
  yield* announcer.say("put back: x")
  yield* announcer.show("3/3")
  return announcer
})

const on = (screen: Omit<Screen, "write">, environment: Record<string, string> = {}) => {
  let text = ""
  return conversation.pipe(
    Effect.provide(Announcer.layer({ ...screen, write: (part) => (text += part) }, environment)),
    Effect.map((announcer) => ({ ...announcer, text }))
  )
}

describe("Announcer", () => {
  it.effect("redraws one line on a terminal, and lets lines that stay go above it", () =>
    Effect.gen(function*() {
      const erase = "\r\u001B[K"
      // The last newline is written as the program ends.
      const { colours, columns, text } = yield* on({ isTTY: true, columns: 200 })
      assert.strictEqual(text, `new run\n1/3${erase}2/3${erase}put back: x\n3/3\n`)
      assert.deepStrictEqual([colours, columns], [true, 80])
      assert.strictEqual((yield* on({ isTTY: true, columns: 60 })).columns, 60)
    }))

  it.effect("shows what a quoted answer would do to the terminal instead of doing it", () =>
    Effect.gen(function*() {
      let text = ""
      yield* Effect.flatMap(Announcer, ({ say }) => say("failed (\u001B[2Jno)")).pipe(
        Effect.provide(Announcer.layer({ write: (part) => (text += part) }, {}))
      )
      assert.strictEqual(text, "failed (\\u{1b}[2Jno)\n")
    }))

  it.effect("leaves what is shown as it is for what is printed below it, and follows the width of the terminal", () =>
    Effect.gen(function*() {
      let text = ""
      const screen = { isTTY: true, columns: 60, write: (part: string) => (text += part) }
      yield* Effect.gen(function*() {
        const announcer = yield* Announcer
        yield* announcer.show("3/3")
        yield* announcer.settle
        text += "Run completed.\n"
        screen.columns = 40
        assert.strictEqual(announcer.columns, 40)
        screen.columns = 0
        assert.strictEqual(announcer.columns, 80)
      }).pipe(Effect.provide(Announcer.layer(screen, {})))
      assert.strictEqual(text, "3/3\nRun completed.\n")
    }))

  it.effect("writes plain lines where nothing can be redrawn", () =>
    Effect.gen(function*() {
      const plain = "new run\n1/3\n2/3\nput back: x\n3/3\n"
      assert.deepInclude(yield* on({}), { text: plain, redraws: false, colours: false })
      assert.deepInclude(yield* on({ isTTY: true }, { TERM: "dumb" }), { text: plain, colours: false })
    }))

  it.effect("uses no colours when NO_COLOR asks for none", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* on({ isTTY: true }, { NO_COLOR: "1" }), { redraws: true, colours: false })
    }))
})
