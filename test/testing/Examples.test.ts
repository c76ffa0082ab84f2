import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { RunConfig } from "../../src/domain/RunConfig.js"
import {
  loadBehaviour,
  type RunningModel,
  type ServedAnswer,
  startSimulatedModel,
  taskSpecs,
  TaskWorld
} from "../../src/testing/index.js"

const root = fileURLToPath(new URL("../../", import.meta.url))
const config = (name: string) =>
  Schema.decodeUnknownSync(RunConfig)(JSON.parse(readFileSync(`${root}examples/${name}`, "utf8")), {
    onExcessProperty: "error"
  })

const seen: Array<{ readonly path: string; readonly rolloutId: unknown }> = []
const served: Array<ServedAnswer> = []
let model: RunningModel

beforeAll(async () => {
  model = await startSimulatedModel({
    behaviours: await Promise.all(
      ["gsm8k", "gsm8k-search"].map((name) => loadBehaviour(`${root}examples/data/${name}.simulated.json`))
    ),
    log: (answer) => served.push(answer),
    faults: ({ headers, path }) => {
      seen.push({ path, rolloutId: headers["x-rollout-id"] })
      return undefined
    }
  })
})

afterAll(() => model.close())

const has = (command: string) => spawnSync(command, ["--version"]).status === 0

/** Runs an agent as the command executor does. */
const ask = async (
  command: ReadonlyArray<string>,
  example: object,
  env: Record<string, string> = {}
): Promise<string> => {
  const agent = spawn(command[0]!, command.slice(1), {
    cwd: `${root}examples`,
    env: {
      PATH: process.env["PATH"],
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: "unused",
      TAU_MODEL: "sim/arithmetic",
      ...env
    },
    stdio: ["pipe", "pipe", "inherit"]
  })
  agent.stdin.end(JSON.stringify(example))
  return (await text(agent.stdout)).trimEnd()
}

const agents = [
  { name: "gsm8k-agent.mjs", command: ["node", "agents/gsm8k-agent.mjs"], runs: true },
  { name: "stdlib_agent.py", command: ["python3", "agents/stdlib_agent.py"], runs: has("python3") },
  {
    name: "stdlib_agent.py --stream",
    command: ["python3", "agents/stdlib_agent.py", "--stream"],
    runs: has("python3")
  },
  { name: "curl-agent.sh", command: ["bash", "agents/curl-agent.sh"], runs: has("bash") && has("curl") }
]

describe("the example agents", () => {
  for (const { command, name, runs } of agents) {
    it.runIf(runs)(`${name} asks the question under the prompt it is given`, async () => {
      const prompt = { TAU_RESOURCE_SYSTEM_PROMPT: "Reply with just the number." }
      assert.strictEqual(await ask(command, { prompt: "What is 6 * 7?", expected: "42" }, prompt), "42")
      assert.match(await ask(command, { input: "What is 6 * 7?" }), / 42\.$/)
    })
  }

  it.runIf(has("python3"))(
    "meeting_rooms_agent.py calls its tool and answers with what the model says then",
    async () => {
      const request = { date: "2025-10-13", time: "16:30", duration_min: 30, attendees: 12, needs: ["projector"] }
      const prompts = {
        TAU_RESOURCE_SYSTEM_PROMPT: "Book a room.",
        TAU_RESOURCE_ROOMS_TOOL: "Says which rooms are free."
      }
      served.length = 0
      const answer = await ask(
        ["python3", "agents/meeting_rooms_agent.py"],
        { input: { ...request, accessible_required: true } },
        prompts
      )
      assert.match(answer, /^The tool answered: /)
      const told = served.map(({ messages }) => messages.map(({ role }) => role))
      assert.deepStrictEqual(told, [["system", "user"], ["system", "user", "assistant", "tool"]])
      assert.strictEqual(served[0]!.messages[0]!.text, "Book a room.")
      assert.include(served[0]!.messages[1]!.text, "Wheelchair access: needed")
    }
  )

  it.runIf(has("python3"))("stdlib_agent.py names its rollout in headers when the base URL does not", async () => {
    const example = { prompt: "What is 1 + 1?" }
    const ids = { TAU_ROLLOUT_ID: "r1", TAU_ATTEMPT_ID: "r1:attempt-1" }
    seen.length = 0
    await ask(["python3", "agents/stdlib_agent.py"], example, ids)
    assert.deepStrictEqual(seen, [{ path: "/v1/chat/completions", rolloutId: "r1" }])
  })
})

describe("the example configs", () => {
  it("are configs", () => {
    assert.lengthOf(config("arithmetic.json").optimize, 1)
    const { executor, optimize, validate } = config("gsm8k.json")
    assert.deepStrictEqual([optimize.length, validate.length, executor.kind], [30, 30, "command"])
  })

  it("search by rgepa where there is something to learn, and test what they find", () => {
    const searched = (name: string) => {
      const { executor, gate, optimize, optimizer, validate } = config(name)
      assert.strictEqual(optimizer.algorithm, "rgepa")
      assert.strictEqual(gate.fraction, 0.4)
      return [executor.kind, optimize.length, validate.length, optimizer.components?.join(), optimizer.reflection_model]
    }
    const reflector = "openai/gpt-4.1"
    assert.deepStrictEqual(searched("gsm8k-search.json"), ["chat", 100, 150, "system_prompt", reflector])
    assert.deepStrictEqual(searched("banking77.json"), ["chat", 150, 150, "system_prompt", reflector])
    assert.deepStrictEqual(searched("rooms.json"), ["command", 29, 28, "system_prompt,rooms_tool", reflector])
    assert.deepStrictEqual(searched("extract.json"), ["chat", 100, 100, "system_prompt", "sim/reflector-strong"])
  })

  it("has documents that the simulated agent knows, and the prompt it starts from", () => {
    const world = new TaskWorld(taskSpecs.find(({ name }) => name === "extract")!)
    const { optimize, resources, validate } = config("extract.json")
    assert.deepStrictEqual(resources, world.spec.seed)
    assert.deepStrictEqual(
      [...optimize, ...validate],
      world.examples(0, 200).map(({ expected, id, input }) => ({ id, prompt: input, expected }))
    )
  })

  it("are what the script makes of the data", () => {
    assert.strictEqual(
      spawnSync("node", ["scripts/dev/make-examples.mjs", "--check"], { cwd: root, stdio: "inherit" }).status,
      0
    )
  })

  it("hold questions that the simulated model answers better under a better prompt", async () => {
    const { optimize, resources, validate } = config("gsm8k.json")
    const share = async (system: unknown) => {
      let right = 0
      for (const { expected, prompt } of [...optimize, ...validate]) {
        const body = JSON.stringify({
          model: "gsm8k",
          messages: [{ role: "system", content: system }, { role: "user", content: prompt }]
        })
        served.length = 0
        await (await fetch(`${model.url}/chat/completions`, { method: "POST", body })).text()
        if (served[0]!.answer.endsWith(`The answer is ${String(expected)}.`)) right++
      }
      return right / 60
    }
    assert.approximately(await share(resources?.["system_prompt"]), 0.35, 0.15)
    assert.approximately(await share("Think step by step and show your work."), 0.85, 0.12)
  })
})
