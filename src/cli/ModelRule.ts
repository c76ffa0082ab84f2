import { mismatch, type Problem } from "./ConfigShape.js"
import { modelRefOf, providers } from "./Providers.js"
import { nearest } from "./Suggestion.js"

/** What is wrong with a model that a config names. */
export const modelProblems = (model: string | undefined, path: string): ReadonlyArray<Problem> => {
  if (model === undefined) return []
  const provider = modelRefOf(model)?.provider
  if (provider === undefined) return [mismatch(path, "provider/model such as openai/gpt-4o-mini", model)]
  const names = providers.map(({ name }) => name)
  return names.includes(provider)
    ? []
    : [mismatch(path, `a provider of ${names.join(", ")}`, provider, nearest(provider, names))]
}
