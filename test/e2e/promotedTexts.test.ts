import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { request } from "undici"
import { printed, startTau, tau } from "../support/command.js"
import { roomsModel } from "../support/roomsModel.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const own = "You add numbers."
const where = { kind: "system", equal: own } as const

/** An evaluation under these texts, which makes a version of them. */
const evaluation = (system_prompt: string) => ({
  optimize: [{ prompt: "1+1", expected: "2" }],
  resources: { system_prompt },
  executor: { kind: "command", command: ["true"] },
  rewrite: [{ component: "system_prompt", where }]
})

const proxyArgs = (url: string, file: string) => [
  "--prompt-optimization-proxy-server",
  `--prompt-optimization-proxy-upstream-url=${url}`,
  "--prompt-optimization-proxy-bind=127.0.0.1:0",
  `--prompt-optimization-proxy-rewrite=${file}`
]

/** The status that the offer of a WebSocket is answered with. */
const upgraded = (url: string) =>
  Effect.async<number | undefined>((resume) => {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64")
    }
    get(url, { headers }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode))
    })
  })

describe("a proxy that puts promoted texts in place", { timeout: 120_000 }, () => {
  it.scopedLive("sends every call under the version that was chosen last, and as it came until there is one", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* roomsModel
      const folder = yield* scratchFolder
      for (const [index, text] of ["Add carefully.", "Add “twice”.\n"].entries()) {
        writeFileSync(join(folder, `${index}.json`), JSON.stringify(evaluation(text)))
        const args = ["--model=openai/m", `--prompt-optimization-config=${index}.json`]
        yield* tau(folder, [...args, `--prompt-optimization-proxy-upstream-url=${url}`], { OPENAI_API_KEY: "k" })
      }
      // A program that is at work needs no more of the config than this.
      const rules = [
        { component: "system_prompt", where },
        { component: "tone", where: { kind: "system", containing: "Be polite." } }
      ]
      writeFileSync(join(folder, "rules.json"), JSON.stringify({ rewrite: rules }))
      const proxy = yield* startTau(folder, proxyArgs(url, "rules.json"))
      const base = yield* printed(proxy, /OPENAI_BASE_URL=(\S+)/)
      assert.match(proxy.stdout(), /\n {2}rewrite {4}promoted texts, by 2 rules of rules\.json\n/)
      assert.include(proxy.stderr(), "no version of the resources has been promoted yet: the agents' own texts stay")

      const bodyWith = (text: string) =>
        `{"model":"m","messages":[{"role":"system","content":${JSON.stringify(text)}},{"role":"user","content":"é"} ]}`
      const sentTo = (url: string) =>
        Effect.promise(async () => {
          asked.length = 0
          const { body, statusCode } = await request(`${url}/chat/completions`, { method: "POST", body: bodyWith(own) })
          assert.strictEqual(statusCode, 200, await body.text())
          return asked[0]
        })
      const sent = sentTo(base)
      const sentLater = (text: string) =>
        eventually(text, Effect.map(sent, (body) => body === bodyWith(text) ? body : undefined))
      const choose = (version: number) =>
        tau(folder, [
          `--prompt-optimization-control-rollback=.tau/training/policy-checkpoint.version-${version}.json`,
          "--prompt-optimization-control-state-dir=.tau/training"
        ])

      assert.strictEqual(yield* sent, bodyWith(own))
      for (const [version, text] of [[1, "Add carefully."], [2, "Add “twice”.\n"]] as const) {
        const chosen = yield* choose(version)
        assert.strictEqual(chosen.code, 0, chosen.stderr)
        yield* sentLater(text)
        assert.include(
          proxy.stderr(),
          `calls are made under version ${version} of the resources, which has no tone: there the agent's own text stays`
        )
      }
      const named = base.replace("/v1", "/rollout/r/attempt/a/v1")
      assert.strictEqual(yield* sentTo(named), bodyWith("Add “twice”.\n"))
      // Clients that are told so make the same calls over HTTP.
      for (const url of [base, named]) assert.strictEqual(yield* upgraded(`${url}/responses`), 426)
      const spans = yield* tau(folder, ["spans", "--json", "--limit=1"])
      const [{ span_id: id }] = JSON.parse(spans.stdout).spans
      const { attributes } = JSON.parse((yield* tau(folder, ["span", id, "--json"])).stdout).span
      assert.deepInclude(attributes, {
        "tau.rewrite.component": ["system_prompt"],
        "tau.rewrite.matched": [0],
        "tau.rewrite.version": 2
      })
      assert.notProperty(attributes, "tau.rewrite.missed")
      const shown = yield* tau(folder, ["span", id])
      assert.match(shown.stdout, /rewrite +system_prompt of version 2 in place of the agent's own\n/)
      assert.strictEqual((yield* tau(folder, ["span", id, "--raw=original"])).stdout, bodyWith(own))
      // Of each it told once, however often it has looked since.
      assert.lengthOf(proxy.stderr().match(/calls are made under version/g) ?? [], 2)

      // What the agent had sent is not known where bodies are not kept: least of all that it was the same.
      const bare = yield* startTau(folder, [
        ...proxyArgs(url, "rules.json"),
        "--prompt-optimization-proxy-record=metadata"
      ])
      assert.strictEqual(yield* sentTo(yield* printed(bare, /OPENAI_BASE_URL=(\S+)/)), bodyWith("Add “twice”.\n"))
      const newest = JSON.parse((yield* tau(folder, ["spans", "--json", "--limit=1"])).stdout).spans[0].span_id
      assert.notStrictEqual(newest, id)
      assert.match((yield* tau(folder, ["span", newest])).stdout, /rewrite +system_prompt of version 2 in place\n/)
    }))

  it.scopedLive("is told what is wrong with the file of its rules", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const told = (content: string) => {
        writeFileSync(join(folder, "rules.json"), content)
        return tau(folder, proxyArgs("http://127.0.0.1:9", "rules.json"))
      }
      for (
        const [content, problem] of [
          ["{", "line 1, column 2: "],
          ["[]", "$: expected a JSON object, found an empty array"],
          ["{}", "$.rewrite: expected an array of objects that is not empty, found nothing"],
          [`{"rewrite":[{"component":"a","where":{"kind":"sys"}}]}`, "did you mean \"system\"?"],
          [
            `{"rewrite":[{"component":"a","where":{"kind":"system"}}]}`,
            "$.rewrite[0].where: expected one of \"equal\", \"containing\" and \"matching\", found none"
          ]
        ] as const
      ) {
        const { code, stderr } = yield* told(content)
        assert.strictEqual(code, 2)
        assert.include(stderr, `tau: rules.json: ${problem.startsWith("did") ? "" : problem}`)
        assert.include(stderr, problem)
      }
    }))
})
