import { describe, expect, it } from "@effect/vitest"
import { OptimizerConfig } from "../../src/domain/OptimizerConfig.js"
import { defaultGepaSettings } from "../../src/optimizer/Gepa.js"
import { defaultRgepaSettings } from "../../src/optimizer/Rgepa.js"
import { problemsWith } from "../support/config.js"

describe("the optimizer and the gate of a config", () => {
  it("begin no more samples of long examples than one text can hold", () => {
    const keys = (samples: number) => ({
      optimizer: { samples },
      validate: [{ prompt: "x".repeat(300_000), expected: "4" }]
    })
    expect(problemsWith(keys(1000))).toEqual([
      "$.optimizer.samples: expected at most 894 for examples of 300077 characters, found 1000"
    ])
    expect(problemsWith(keys(894))).toEqual([])
  })

  it("may have as many rollouts as all examples take", () => {
    const keys = { validate: [{ prompt: "b", expected: "c" }], optimizer: { samples: 3, max_rollouts: 6 } }
    expect(problemsWith(keys)).toEqual([])
  })

  it.each<readonly [keys: object, line: string]>([
    [{ gate: { alpha: 0.5 } }, "$.gate.alpha: expected a probability above 0 and below 0.5, found 0.5"],
    [{ gate: { fraction: 40 } }, "$.gate.fraction: expected a share above 0 and below 1, found 40"],
    [
      { optimizer: { max_usd: -5 } },
      "$.optimizer.max_usd: expected a sum of 0 or more, found -5"
    ],
    [
      { optimizer: { samples: 1e12 } },
      "$.optimizer.samples: expected a whole number of rollouts from 1 to 1000, found 1000000000000"
    ],
    ...(["beam", "branch"] as const).map((key) =>
      [
        { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "apo", [key]: 1001 } },
        `$.optimizer.${key}: expected a whole number of candidates from 1 to 1000, found 1001`
      ] as const
    ),
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", minibatch: 1e12 } },
      "$.optimizer.minibatch: expected a whole number of examples from 1 to 100000, found 1000000000000"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", proposals: { parents: 1001 } } },
      "$.optimizer.proposals.parents: expected a whole number of parents from 1 to 1000, found 1001"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "rgepa", lag: 1001 } },
      "$.optimizer.lag: expected a whole number of iterations from 0 to 1000, found 1001"
    ],
    [
      { optimizer: { algorithm: "magic" } },
      "$.optimizer.algorithm: expected one of \"evaluate\", \"apo\", \"gepa\", \"rgepa\", found \"magic\""
    ],
    [
      { optimizer: { algorithm: "rgepa" } },
      "$.validate: expected examples, found none: \"rgepa\" searches on them"
    ],
    [
      { optimizer: { minibatch: 3 } },
      "$.optimizer.minibatch: expected a setting of \"evaluate\", found \"minibatch\", which is of \"gepa\" and \"rgepa\""
    ],
    [
      { optimizer: { target: 0.9 } },
      "$.optimizer.target: expected a setting of \"evaluate\", found \"target\", which is of a search"
    ],
    [
      {
        validate: [{ prompt: "b", expected: "c" }],
        optimizer: { algorithm: "rgepa", proposals: { parents: 2 } }
      },
      "$.optimizer.proposals.parents: expected 1 parent for \"rgepa\", found 2; \"lag\" runs iterations side by side"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", selection: { topK: 0 } } },
      "$.optimizer.selection: expected one of \"all\", \"best\" or an object with a topK of 1 or more, " +
      "found an object"
    ],
    [
      { optimizer: { max_seconds: 60 } },
      "$.optimizer.max_seconds: expected a setting of \"evaluate\", found \"max_seconds\", which is of a search"
    ],
    [
      {
        validate: [{ prompt: "b", expected: "c" }],
        resources: { system_prompt: { text: "x" } },
        optimizer: { algorithm: "gepa" }
      },
      "$.resources: expected a text to optimize, a system_prompt say, found none in \"resources\""
    ],
    [
      {
        validate: [{ prompt: "b", expected: "c" }],
        resources: { system_prompt: "x" },
        optimizer: { algorithm: "gepa", components: ["system_promt"] }
      },
      "$.optimizer.components[0]: expected the name of a text in \"resources\", found \"system_promt\"; did you mean \"system_prompt\"?"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", reflection_model: "gpt-4.1" } },
      "$.optimizer.reflection_model: expected provider/model such as openai/gpt-4o-mini, found \"gpt-4.1\""
    ],
    [
      { validate: [{ prompt: "b" }], optimizer: { algorithm: "gepa" } },
      "$.validate[0]: expected the field \"expected\" to score an answer by, found none"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", mergesMax: 3 } },
      "$.optimizer.mergesMax: expected \"merge\": true beside it, without which nothing is crossed, found none"
    ],
    [
      { optimizer: { stallLimit: 3 } },
      "$.optimizer.stallLimit: expected a setting of \"evaluate\", found \"stallLimit\", which is of a search"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { samples: 3, max_rollouts: 5 } },
      "$.optimizer.max_rollouts: expected at least the 6 rollouts of all examples, found 5"
    ],
    [
      { validate: [{ prompt: "b", expected: 4 }], optimizer: { algorithm: "gepa" } },
      "$.validate[0].expected: expected a text, for \"scoring\" names no scorer, found 4"
    ],
    [
      { validate: [{ prompt: "b", expected: "c" }], optimizer: { algorithm: "gepa", max_rollouts: 1 } },
      "$.optimizer.max_rollouts: expected more than the 1 rollouts of the selection examples and 0 of the gate, found 1"
    ],
    [
      {
        validate: [{ prompt: "b", expected: "c" }],
        resources: { a: "x" },
        optimizer: { algorithm: "gepa", components: ["a", "a"] }
      },
      "$.optimizer.components[1]: expected each component once, found \"a\" again"
    ],
    [
      {
        validate: [{ prompt: "b", expected: "c" }],
        optimizer: { algorithm: "gepa", reflection_parameters: { stream: true } }
      },
      "$.optimizer.reflection_parameters.stream: expected a parameter that is not tau's own, found \"stream\""
    ]
  ])("%j", (keys, line) => {
    expect(problemsWith(keys)).toEqual([line])
  })

  it("has a key for everything that an algorithm can be told", () => {
    const keys = Object.keys(OptimizerConfig.fields)
    // The run's own seed is what Python's generator is given.
    const { rngSeed: _, ...gepa } = defaultGepaSettings
    for (const name of [...Object.keys(gepa), ...Object.keys(defaultRgepaSettings)]) expect(keys).toContain(name)
  })

  it("take every setting of every algorithm", () => {
    const searched = { validate: [{ prompt: "b", expected: "c" }], resources: { system_prompt: "x" } }
    const all = {
      components: ["system_prompt"],
      reflection_model: "openai/gpt-4.1",
      reflection_url: "http://127.0.0.1:8000/v1",
      reflection_parameters: { temperature: 1 },
      seed: 0,
      max_rollouts: 600,
      max_reflections: 120,
      max_tokens: 2_000_000,
      max_usd: 5,
      max_seconds: 3_600,
      prices: { "gpt-4.1": { input: 2, output: 8 } },
      target: 0.9,
      stallLimit: 10
    }
    for (
      const own of [
        {
          algorithm: "rgepa",
          minibatch: 6,
          block: 10,
          pBest: 0.5,
          pPrune: 0,
          patchMerge: true,
          lag: 2,
          corpusPass: true,
          proposals: { perParent: 2 },
          dropZ: 0,
          dropMargin: 0.1,
          rejectedMemory: false,
          hypotheses: false,
          tieBreakSamples: 1
        },
        {
          algorithm: "gepa",
          minibatch: 3,
          selection: { topK: 2 },
          selector: "pareto",
          componentSelector: "all",
          acceptance: ">=",
          perfectScore: 0.9,
          skipPerfectScore: false,
          proposals: { parents: 2, perParent: 4 },
          merge: true,
          mergesMax: 2,
          rng: "python",
          cache: false
        },
        { algorithm: "apo", beam: 2, branch: 2, rounds: 1, gradient_batch: 4, val_batch: 8, bandit: "ucb" }
      ]
    ) expect(problemsWith({ ...searched, optimizer: { ...all, ...own } })).toEqual([])
    expect(problemsWith({ optimizer: { samples: 3 } })).toEqual([])
  })
})
