import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { CommandFailed, ConfigError, endingOf, UsageError } from "../../src/cli/CliError.js"
import { SearchFailed } from "../../src/domain/SearchFailed.js"

describe("endingOf", () => {
  it("passes on the code of a command that answered", () => {
    expect(endingOf(Exit.succeed(1), false)).toEqual({ code: 1, lines: [] })
  })

  it("has one line for each problem of a config, and the code for mistakes", () => {
    const error = new ConfigError({ file: "c.json", problems: ["$.a: x", "$.b: y"] })
    expect(endingOf(Exit.fail(error), false)).toEqual({
      code: 2,
      lines: ["tau: c.json: $.a: x", "tau: c.json: $.b: y"]
    })
    expect(endingOf(Exit.fail(new UsageError({ detail: "no" })), false)).toEqual({ code: 2, lines: ["tau: no"] })
  })

  it("puts any other error on one line, with the code for failure", () => {
    const error = new CommandFailed({ detail: "the store is locked\n  by 7" })
    expect(endingOf(Exit.fail(error), true)).toEqual({ code: 1, lines: ["tau: the store is locked by 7"] })
    expect(endingOf(Exit.fail({ _tag: "Odd", message: "" }), true)).toEqual({ code: 1, lines: ["tau: Odd"] })
  })

  it("breaks what stopped a search into lines that fit", () => {
    const error = new SearchFailed({ reason: "infrastructure", detail: `${"word ".repeat(30)}end` })
    const { code, lines } = endingOf(Exit.fail(error), false)
    expect([code, lines.join(" ")]).toEqual([1, `tau: ${error.detail}`])
    expect(lines.every((line) => line.length <= 80)).toBe(true)
  })

  it("shows what a path or a quoted answer would do to the terminal instead of doing it", () => {
    const error = new ConfigError({ file: "c\u001B[2J.json", problems: ["found \u202Ex"] })
    expect(endingOf(Exit.fail(error), false).lines).toEqual(["tau: c\\u{1b}[2J.json: found \\u{202e}x"])
    expect(endingOf(Exit.fail(new CommandFailed({ detail: "\u001B]0;x\u0007 is gone" })), false).lines).toEqual([
      "tau: \\u{1b}]0;x\\u{7} is gone"
    ])
  })

  it("calls being stopped a success for what runs until it is stopped, and for nothing else", () => {
    const interrupted = Exit.failCause(Cause.interrupt(FiberId.none))
    expect(endingOf(interrupted, true)).toEqual({ code: 0, lines: [] })
    expect(endingOf(interrupted, false)).toEqual({ code: 1, lines: ["tau: interrupted"] })
  })

  it("shows the cause of a defect after a short line", () => {
    const { code, lines } = endingOf(Exit.die(new TypeError("x is not a function")), true)
    expect(code).toBe(1)
    expect(lines[0]).toBe("tau: this is a bug in tau:")
    expect(lines[1]).toContain("TypeError: x is not a function")
  })
})
