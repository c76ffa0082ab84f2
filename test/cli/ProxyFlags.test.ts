import { assert, describe, it } from "@effect/vitest"
import { parseArguments } from "../../src/cli/ParseArguments.js"

const proxy = ["--prompt-optimization-proxy-server", "--prompt-optimization-proxy-upstream-url=http://127.0.0.1:1"]
const parse = (...args: ReadonlyArray<string>) =>
  parseArguments([...proxy, ...args.map((arg) => `--prompt-optimization-proxy-${arg}`)], {})

const mode = (...args: ReadonlyArray<string>) => {
  const parsed = parse(...args)
  assert(parsed._tag === "mode" && parsed.mode._tag === "proxy")
  return parsed.mode
}

const mistake = (...args: ReadonlyArray<string>) => {
  const parsed = parse(...args)
  assert(parsed._tag === "mistake")
  return parsed.message
}

describe("The proxy's flags", () => {
  it("have defaults", () => {
    assert.deepInclude(mode(), {
      recordPolicy: "required",
      onDisconnect: "cancel",
      streamUsage: "as-sent",
      limits: {},
      storeBytesMax: null
    })
  })

  it("choose policies and limits by name", () => {
    assert.deepInclude(
      mode(
        "record-policy=best-effort",
        "on-disconnect=drain",
        "stream-usage=ask",
        "limits=callsMax=64, queueMax=0,queueMs=5000",
        "store-max-bytes=1048576"
      ),
      {
        recordPolicy: "best-effort",
        onDisconnect: "drain",
        streamUsage: "ask",
        limits: { callsMax: 64, queueMax: 0, queueMs: 5_000 },
        storeBytesMax: 1_048_576
      }
    )
  })

  it("say what is wrong with a value, and what was meant", () => {
    const source = "--prompt-optimization-proxy-"
    assert.strictEqual(
      mistake("record-policy=besteffort"),
      `${source}record-policy: expected required or best-effort, found "besteffort"`
    )
    assert.strictEqual(
      mistake("limits=callMax=1"),
      `${source}limits: unknown limit "callMax"; did you mean callsMax?`
    )
    assert.match(mistake("limits=everything=1"), /unknown limit "everything"; known are requestBytesMax, /)
    assert.match(mistake("limits=callsMax=0"), /callsMax: expected a whole number from 1 to \d+, found "0"$/)
    assert.match(mistake("limits=callMs=2147483648"), /from 1 to 2147483647/)
    assert.match(mistake("limits=callsMax"), /callsMax: expected a whole number/)
    assert.match(mistake("limits=callsMax=1,callsMax=2"), /callsMax is given twice$/)
    assert.match(mistake("limits="), /unknown limit ""/)
  })
})
