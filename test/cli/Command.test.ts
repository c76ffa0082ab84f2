import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defineCommand, type Operand } from "../../src/cli/Command.js"
import { readInteger } from "../../src/cli/FlagValue.js"
import { helpText } from "../../src/cli/help.js"

const started: Array<unknown> = []

const commandWith = (...operands: ReadonlyArray<Operand>) =>
  defineCommand({
    name: "look",
    summary: "Look at one thing",
    description: "Looks at one thing, closely.",
    examples: ["tau look tree"],
    operands,
    flags: [{
      name: "how-often",
      value: { kind: "integer", min: 1, max: 9, unit: "times" },
      placeholder: "N",
      default: "1",
      description: "Times to look"
    }],
    read: ({ flags, operands }) => ({ operands, times: readInteger(flags.get("how-often")) }),
    load: () => Promise.resolve({ run: (input: unknown) => Effect.sync(() => started.push(input)) })
  })

const parse = (operands: ReadonlyArray<Operand>, args: ReadonlyArray<string>, environment = {}) =>
  commandWith(...operands).parse(args, environment).input

const thing = { name: "thing", words: ["tree", "house"] } as const
const id = { name: "id" } as const

describe("a sub-command", () => {
  it("reads its operands and flags in any order, and its variables", () => {
    expect(parse([thing, id], ["tree", "--how-often", "2", "7"])).toEqual({ operands: ["tree", "7"], times: 2 })
    expect(parse([id], ["--", "--odd"])).toEqual({ operands: ["--odd"], times: 1 })
    expect(parse([id], ["x"], { TAU_LOOK_HOW_OFTEN: "3" })).toEqual({ operands: ["x"], times: 3 })
    expect(parse([{ ...id, optional: true }], [])).toEqual({ operands: [], times: 1 })
    expect(parse([{ ...id, many: true }], ["a", "b", "c"])).toEqual({ operands: ["a", "b", "c"], times: 1 })
  })

  it.each<readonly [ReadonlyArray<Operand>, ReadonlyArray<string>, string]>([
    [[id], [], "tau look needs <id>; see tau look --help"],
    [[thing], [], "tau look needs tree|house"],
    [[thing], ["tre"], "tau look: expected tree|house, found \"tre\"; did you mean tree?"],
    [[id], ["a", "b"], "unexpected argument \"b\"; see tau look --help"],
    [[id], [""], "tau look: expected <id>, found an empty argument"],
    [[], ["a"], "unexpected argument \"a\"; see tau look --help"],
    [[id], ["a", "--how-oftn=1"], "unknown flag \"--how-oftn\"; did you mean --how-often?"],
    [[id], ["a", "--how-often=0"], "--how-often: expected a whole number of times from 1 to 9, found \"0\""]
  ])("with %j says of %j: %s", (operands, args, message) => {
    expect(() => parse(operands, args)).toThrow(message)
  })

  it("shows what it takes in its help", () => {
    const help = helpText(commandWith(thing, { ...id, optional: true, many: true }), (text) => text)
    expect(help).toContain("    tau look tree|house [<id>...]\n")
    expect(help).toContain("TAU_LOOK_HOW_OFTEN for instance")
  })

  it("loads its work only when it is started", async () => {
    const mode = commandWith(id).parse(["a"], {})
    expect(started).toEqual([])
    await Effect.runPromise(await mode.start())
    expect(started).toEqual([{ operands: ["a"], times: 1 }])
  })
})
