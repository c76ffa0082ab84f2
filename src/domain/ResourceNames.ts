/** Under which names a resource can be given to an agent's process, where it is a file and an environment variable. */

export interface NameProblem {
  readonly name: string
  /** What is wrong with it, in a sentence about the resource. */
  readonly detail: string
}

/** `TAU_RESOURCE_SYSTEM_PROMPT` of `system_prompt` and of `systemPrompt`. */
export const variableOf = (name: string): string =>
  `TAU_RESOURCE_${name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase().replace(/[^A-Z0-9]/g, "_")}`

/** Of the names of all resources, those that no process can be given, or not beside another. */
export const nameProblems = (names: ReadonlyArray<string>): ReadonlyArray<NameProblem> => {
  const taken = new Map<string, string>()
  return names.flatMap((name): ReadonlyArray<NameProblem> => {
    if (!isFileName(name)) {
      return [{ name, detail: `the resource name ${JSON.stringify(name)} cannot be a file name` }]
    }
    const variable = variableOf(name)
    const other = taken.get(variable)
    if (other === undefined) {
      taken.set(variable, name)
      return []
    }
    return [{ name, detail: `the resources ${other} and ${name} would share the variable ${variable}: rename one` }]
  })
}

/** Also with the few bytes that a file system allows for a name. */
const isFileName = (name: string): boolean =>
  name !== "" && name !== "." && name !== ".." && !/[/\\\p{Cc}]/u.test(name) && Buffer.byteLength(name) <= 200
