import * as Effect from "effect/Effect"

/** Sets variables of this process, which other test files use after this one; what is answered puts them back. */
export const setVariables = (variables: Readonly<Record<string, string>>): () => void => {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

/** The same until the scope ends. */
export const withVariables = (variables: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(Effect.sync(() => setVariables(variables)), (restore) => Effect.sync(restore))
