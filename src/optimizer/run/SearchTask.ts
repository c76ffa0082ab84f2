/** The examples and texts of a config as an optimizer sees them. */
import * as Either from "effect/Either"
import { hash } from "node:crypto"
import { resourceText, type ResourceValues } from "../../domain/Resources.js"
import type { Example } from "../../domain/Rollout.js"
import type { RunConfig } from "../../domain/RunConfig.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import { render } from "../../domain/Template.js"
import { canonicalJson } from "../../store/canonicalJson.js"
import type { TaskExample, Texts } from "../Search.js"

export interface SearchExamples {
  readonly train: ReadonlyArray<TaskExample>
  readonly validate: ReadonlyArray<TaskExample>
  readonly byId: ReadonlyMap<string, Example>
}

/** Ids follow from what an example says, not from where it stands: examples that are moved or joined by others keep theirs. */
export const searchExamples = (config: RunConfig, resources: ResourceValues): SearchExamples => {
  const named = (mode: "train" | "val", examples: ReadonlyArray<Example>) => {
    const counts = new Map<string, number>()
    return examples.map((example) => {
      const id = `${mode}-${hash("sha256", canonicalJson(example), "hex").slice(0, 10)}`
      const n = (counts.get(id) ?? 0) + 1
      counts.set(id, n)
      return { example, id: n === 1 ? id : `${id}-${n}` }
    })
  }
  const train = named("train", config.optimize)
  const validate = named("val", config.validate)
  const seen = ({ example, id }: { readonly example: Example; readonly id: string }): TaskExample => ({
    id,
    input: inputText(config, example, resources),
    expected: expectedText(config, example)
  })
  return {
    train: train.map(seen),
    validate: validate.map(seen),
    byId: new Map([...train, ...validate].map(({ example, id }) => [id, example]))
  }
}

/** What the agent is asked, as far as the config tells: the user message of a chat, else the example without its reference. */
const inputText = ({ executor, scoring }: RunConfig, example: Example, resources: ResourceValues): string => {
  if (executor.kind === "chat") {
    const asked = executor.user !== undefined || Object.hasOwn(example, "prompt")
      ? render(executor.user ?? "{{prompt}}", { ...example, resources })
      : Either.right(JSON.stringify(example["messages"]))
    if (Either.isRight(asked)) return asked.right
  }
  const references = (scoring ?? []).flatMap(({ expected }) => expected === undefined ? [] : [expected])
  const hidden = new Set(["id", "split", "expected", ...references])
  const shown = Object.entries(example).filter(([name]) => !hidden.has(name))
  const [only] = shown
  return shown.length === 1 && only !== undefined && typeof only[1] === "string"
    ? only[1]
    : JSON.stringify(Object.fromEntries(shown))
}

const expectedText = ({ scoring }: RunConfig, example: Example): string | null => {
  const field = scoring?.find(({ expected }) => expected !== undefined && Object.hasOwn(example, expected))?.expected ??
    "expected"
  const value = Object.hasOwn(example, field) ? example[field] : undefined
  return value === undefined || value === null ? null : resourceText(value)
}

/** The texts that are searched over, or why there are none. */
export const seedOf = (config: RunConfig, resources: ResourceValues): Either.Either<Texts, SearchFailed> => {
  const texts = Object.keys(resources).filter((name) => typeof resources[name] === "string")
  const wanted = config.optimizer.components ?? (texts.includes("system_prompt") ? ["system_prompt"] : texts)
  if (wanted.length === 0) {
    return Either.left(
      new SearchFailed({
        reason: "task",
        detail: "there is no text to optimize: give the config resources, a system_prompt say"
      })
    )
  }
  for (const name of wanted) {
    if (!texts.includes(name)) {
      return Either.left(
        new SearchFailed({
          reason: "task",
          detail: `optimizer.components names ${JSON.stringify(name)}, which is no text among the resources: ` +
            (texts.length === 0 ? "there are none" : texts.map((text) => JSON.stringify(text)).join(", "))
        })
      )
    }
  }
  return Either.right(Object.fromEntries(wanted.map((name) => [name, resources[name] as string])))
}
