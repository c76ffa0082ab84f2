/** What a run may cost at most, and what its gate could find, before anything is spent or written. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { counted, rounded } from "../domain/Figures.js"
import { priceOf } from "../domain/Prices.js"
import type { ResourceValues } from "../domain/Resources.js"
import type { RunConfig } from "../domain/RunConfig.js"
import { safeJson, visible, wrapped } from "../domain/TerminalText.js"
import { searchPlan } from "../optimizer/run/SearchPlan.js"
import { searchExamples } from "../optimizer/run/SearchTask.js"
import { costEstimate, type Tokens } from "./CostEstimate.js"
import { ExitCode } from "./ExitCode.js"
import type { OptimizeMode } from "./Mode.js"

/** Prints the plan of the run, and ends with success. */
export const dryRun = (mode: OptimizeMode, config: RunConfig, resources: ResourceValues) => {
  const plan = planOf(mode, config, resources)
  return Effect.as(
    Console.log(mode.json ? safeJson(planJson(plan), 2) : planText(plan)),
    ExitCode.success
  )
}

type Plan = ReturnType<typeof planOf>

const planOf = (mode: OptimizeMode, config: RunConfig, resources: ResourceValues) => {
  const { optimizer } = config
  const evaluated = (config.optimize.length + config.validate.length) * (optimizer.samples ?? 1)
  const search = optimizer.algorithm === "evaluate" ? null : searchPlan(config, resources)
  const reflectionModel = optimizer.reflection_model ?? mode.modelRef
  const { train, validate } = searchExamples(config, resources)
  const priced = (model: string) => priceOf(optimizer.prices, model) ?? null
  const rolloutsMax = search === null ? evaluated : optimizer.max_rollouts
  const judges = (config.scoring ?? []).flatMap((scorer) =>
    scorer.kind === "judge" ? [{ judge: scorer, model: scorer.model ?? mode.modelRef }] : []
  )
  return {
    algorithm: optimizer.algorithm,
    rolloutsMax,
    cost: costEstimate({
      config,
      resources,
      examples: [...train, ...validate],
      rolloutsMax,
      reflectionsMax: search?.reflectionsMax ?? 0,
      prices: { rollout: priced(mode.modelRef), reflection: priced(reflectionModel) },
      judges: judges.map(({ judge, model }) => ({ judge, price: priced(model) }))
    }),
    attemptsMax: config.max_attempts,
    reflectionsMax: search?.reflectionsMax ?? 0,
    tokensMax: optimizer.max_tokens ?? null,
    usdMax: optimizer.max_usd ?? null,
    secondsMax: optimizer.max_seconds ?? null,
    areNamed: optimizer.components !== undefined,
    prices: {
      [mode.modelRef]: priced(mode.modelRef),
      ...(search !== null && { [reflectionModel]: priced(reflectionModel) }),
      ...Object.fromEntries(judges.map(({ model }) => [model, priced(model)]))
    },
    search
  }
}

const planJson = ({ search, ...plan }: Plan) => {
  return {
    schema_version: 1,
    dry_run: true,
    algorithm: plan.algorithm,
    rollouts_max: plan.rolloutsMax,
    attempts_max: plan.attemptsMax,
    reflections_max: plan.reflectionsMax,
    tokens_max: plan.tokensMax,
    usd_max: plan.usdMax,
    seconds_max: plan.secondsMax,
    prices: plan.prices,
    estimate: plan.cost === null ? null : {
      usd: plan.cost.usd === null ? null : rounded(plan.cost.usd),
      rollout_tokens: plan.cost.rollout,
      reflection_tokens: plan.cost.reflection,
      judgements: plan.cost.judgements
    },
    ...(search !== null && {
      components: search.components,
      train_examples: search.train,
      selection_examples: search.selection,
      search_rollouts_max: plan.rolloutsMax - search.gateRollouts,
      gate: {
        pairs: search.gatePairs,
        rollouts: search.gateRollouts,
        untestable: search.untestable,
        power: search.power,
        detectable_gain: search.detectableGain
      }
    })
  }
}

const planText = (plan: Plan): string => {
  const { search } = plan
  const limits = [
    plan.tokensMax === null ? null : `${plan.tokensMax} tokens`,
    plan.usdMax === null ? null : `$${plan.usdMax}`,
    plan.secondsMax === null ? null : `${plan.secondsMax} s`
  ].filter((limit) => limit !== null)
  return [
    `A dry run of ${plan.algorithm}: nothing is called, and nothing is written.`,
    "",
    row("rollouts", `at most ${plan.rolloutsMax}, each tried up to ${counted(plan.attemptsMax, "time")}`),
    ...(search === null ? [] : [
      ...(search.components.length === 0 ? [] : rows("texts", textsOf(search, plan.areNamed))),
      row("reflections", `at most ${plan.reflectionsMax}`),
      row(
        "other limits",
        limits.length === 0 ? "none: max_tokens, max_usd and max_seconds are not set" : limits.join(", ")
      ),
      row("examples", `${search.train} to learn from, ${search.selection} to select by`),
      ...(search.gatePairs === 0
        ? rows("gate", search.untestable ?? "none: max_rollouts leaves no rollouts for it")
        : [
          row(
            "gate",
            `${counted(search.gatePairs, "pair")}, ${search.gateRollouts} of the rollouts: the search has the other ${
              plan.rolloutsMax - search.gateRollouts
            }`
          ),
          ...rows(
            "",
            `chance to find a gain of ${
              search.power.map(({ gain, power }) => `${gain.toFixed(2)}: ${Math.round(power * 100)} %`).join(", ")
            }`
          )
        ])
    ]),
    ...Object.entries(plan.prices).map(([model, price]) =>
      row(
        "price",
        price === null
          ? `${model}: unknown; give it in optimizer.prices`
          : `${model}: $${price.input} in, $${price.output} out per million tokens`
      )
    ),
    ...costLines(plan)
  ].join("\n")
}

const textsOf = ({ components, others }: NonNullable<Plan["search"]>, areNamed: boolean): string => {
  const searched = components.map(visible).join(", ")
  return others.length === 0
    ? searched
    : `${searched}; as they are: ${others.map(visible).join(", ")}${
      areNamed ? "" : ", unless optimizer.components names them"
    }`
}

const costLines = ({ cost, reflectionsMax, rolloutsMax, usdMax }: Plan): ReadonlyArray<string> => {
  const limit = usdMax === null ? "" : `, at most $${usdMax}`
  if (cost === null) return [row("cost", `unknown: an agent makes as many calls as it likes${limit}`)]
  const { judgements, reflection, rollout, usd } = cost
  const of = (n: number, what: string, { input, output }: Tokens) =>
    `${counted(n, what)} of ${input} tokens in and ${output} out`
  return [
    row(
      "cost",
      usd === null
        ? `unknown without prices${limit}`
        : `${usd > 0 && usd < 0.01 ? "less than $0.01" : `about $${usd.toFixed(2)}`}${limit}`
    ),
    row("", `for ${of(rolloutsMax, "rollout", rollout)}`),
    ...(reflection === null ? [] : [row("", `and ${of(reflectionsMax, "reflection", reflection)}`)]),
    ...judgements.map((judgement) => row("", `and ${of(judgement.n, "judgement", judgement)}`)),
    row("", "by the length of the texts; of answers a guess")
  ]
}

const row = (label: string, value: string) => `  ${label.padEnd(14)}${value}`

/** A sentence, in as many rows as it takes. */
const rows = (label: string, value: string) => wrapped(value, 64).map((line, n) => row(n === 0 ? label : "", line))
