import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Chance } from "../../src/optimizer/Chance.js"
import { tau } from "../support/command.js"
import { type AgentRequest, type ExampleModels, exampleUpstream } from "../support/exampleUpstream.js"
import { query, resultIn, storeIn } from "../support/searchRuns.js"
import { scratchFolder } from "../support/store.js"

const examples = fileURLToPath(new URL("../../examples/", import.meta.url))

interface Config {
  readonly optimize: ReadonlyArray<{ readonly prompt: string; readonly expected: string }>
  readonly validate: Config["optimize"]
  readonly optimizer: { readonly max_rollouts: number }
}
const configOf = (name: string) => JSON.parse(readFileSync(join(examples, name), "utf8")) as Config

interface Told {
  readonly winner: { readonly texts: Readonly<Record<string, string>> }
  readonly budget: { readonly rollouts: { readonly spent: number } }
}

/** Runs an example as its page says, against models of ours in place of OpenAI's; with fewer rollouts, to save time. */
const searched = (name: string, maxRollouts: number, models: ExampleModels) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    cpSync(examples, join(folder, "examples"), { recursive: true })
    const config = configOf(name)
    assert.isAtMost(maxRollouts, config.optimizer.max_rollouts)
    writeFileSync(
      join(folder, "examples", name),
      JSON.stringify({ ...config, optimizer: { ...config.optimizer, max_rollouts: maxRollouts } })
    )
    const { served, url } = yield* exampleUpstream(models)
    const { code, stderr, stdout } = yield* tau(
      folder,
      [
        "--model=openai/gpt-4o-mini",
        `--prompt-optimization-config=examples/${name}`,
        `--prompt-optimization-store-sqlite=${storeIn(folder)}`,
        "--prompt-optimization-json"
      ],
      { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: "key-of-openai" }
    )
    assert.strictEqual(code, 0, stderr)
    const { search } = JSON.parse(stdout) as { readonly search: Told }
    const result = resultIn(folder)
    assert.strictEqual(served.reflector, result.spent.reflections)
    const failed = query<{ error: string }>(folder, "SELECT error FROM rollouts WHERE status <> 'succeeded'")
    assert.deepStrictEqual(failed, [])
    return { folder, result, served, texts: search.winner.texts }
  })

const hasPython = spawnSync("python3", ["--version"]).status === 0

const systemOf = ({ messages }: AgentRequest) => messages.find(({ role }) => role === "system")?.content ?? ""
const askedOf = ({ messages }: AgentRequest) => messages.find(({ role }) => role === "user")?.content ?? ""

const answersOf = ({ optimize, validate }: Config) =>
  new Map([...optimize, ...validate].map(({ expected, prompt }) => [prompt, expected]))

describe("The example searches, end to end", { timeout: 240_000 }, () => {
  it.scopedLive("gsm8k-search.json finds that thinking step by step helps, and proves it", () =>
    Effect.gen(function*() {
      const answers = answersOf(configOf("gsm8k-search.json"))
      const chance = new Chance(1)
      const { result, texts } = yield* searched("gsm8k-search.json", 600, {
        agent: (request) => {
          const asked = askedOf(request)
          const isRight = chance.uniform(asked) < (/step by step/.test(systemOf(request)) ? 0.9 : 0.35)
          return `The answer is ${isRight ? answers.get(asked) : 1_000_001}.`
        },
        advise: (_, current) => current.includes("step by step") ? undefined : "Think step by step."
      })
      assert.strictEqual(result.gate?.decision, "promote", JSON.stringify(result))
      assert.match(texts["system_prompt"]!, /Think step by step\./)
    }))

  it.scopedLive("banking77.json learns labels from misses, and proves it", () =>
    Effect.gen(function*() {
      const answers = answersOf(configOf("banking77.json"))
      const { result, texts } = yield* searched("banking77.json", 1_000, {
        agent: (request) => {
          const label = answers.get(askedOf(request))!
          return systemOf(request).split(/[\s,.]+/).includes(label) ? label : label.replaceAll("_", " ").toUpperCase()
        },
        advise: (_, current, prompt) => {
          const missed = new Set([...prompt.matchAll(/expected \\?"([^"\\]+)\\?"/g)].map(([, label]) => label!))
          const labels = [...missed].filter((label) => !current.includes(label))
          return labels.length === 0 ? undefined : `Labels: ${labels.join(", ")}.`
        }
      })
      assert.strictEqual(result.gate?.decision, "promote", JSON.stringify(result))
      assert.match(texts["system_prompt"]!, /^Labels: .*_/m)
    }))

  it.scopedLive.runIf(hasPython)(
    "rooms.json improves the prompt and the tool's description of an agent process",
    () =>
      Effect.gen(function*() {
        const { folder, result, served, texts } = yield* searched("rooms.json", 180, {
          agent: bookingModel,
          advise: (component, current) =>
            (component === "rooms_tool"
              ? ["A room that is not accessible is of no use to those who need it."]
              : ["If none fits, answer No Room.", "Of the rooms that fit take the smallest."])
              .find((line) => !current.includes(line))
        })
        assert.match(result.noGate!, /^not testable: 28 examples; at least \d+ needed/)
        assert.isAbove(result.best, 0)
        assert.match(texts["system_prompt"]!, /If none fits|the smallest/)
        const components = query<{ component: string }>(
          folder,
          "SELECT DISTINCT change ->> 'component' AS component FROM search_candidates WHERE n > 0 ORDER BY 1"
        )
        assert.deepStrictEqual(components.map(({ component }) => component), ["rooms_tool", "system_prompt"])
        // Each rollout is a call for the rooms and one for the answer.
        assert.strictEqual(served.agent, 2 * result.spent.rollouts)
      })
  )
})

interface Room {
  readonly id: string
  readonly capacity: number
  readonly equipment: ReadonlyArray<string>
  readonly accessible: boolean
  readonly free: boolean
}

/** Calls the tool, then books as far as it is told how. */
const bookingModel: ExampleModels["agent"] = (request) => {
  const asked = askedOf(request)
  const [, date, time, minutes] = /^Date: (\S+), (\S+), for (\d+) minutes$/m.exec(asked)!
  const tool = request.messages.find(({ role }) => role === "tool")
  if (tool === undefined) {
    const wanted = JSON.stringify({ date, time, duration_min: Number(minutes) })
    return [{
      id: "call-1",
      type: "function",
      function: { name: "get_rooms_and_availability", arguments: wanted }
    }]
  }
  const fact = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(asked)![1]!
  const needs = fact("Equipment") === "none" ? [] : fact("Equipment").split(", ")
  const asksAccess = fact("Wheelchair access") === "needed" &&
    request.tools![0]!.function.description.includes("not accessible")
  const { rooms } = JSON.parse(tool.content!) as { readonly rooms: ReadonlyArray<Room> }
  const fitting = rooms.filter(({ accessible, capacity, equipment, free }) =>
    free && capacity >= Number(fact("Attendees")) && needs.every((need) => equipment.includes(need)) &&
    (accessible || !asksAccess)
  )
  const system = systemOf(request)
  const [chosen] = system.includes("smallest")
    ? fitting.toSorted((one, other) => one.capacity - other.capacity)
    : fitting
  return chosen?.id ?? (system.includes("No Room") ? "No Room" : "There is none.")
}
