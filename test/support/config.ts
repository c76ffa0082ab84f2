import { checkConfig } from "../../src/cli/ConfigFile.js"

/** The problems of a config that is right but for these keys, as the lines a person sees. */
export const problemsWith = (keys: object): ReadonlyArray<string> => {
  const checked = checkConfig(JSON.stringify({ optimize: [{ prompt: "What is 2 + 2?", expected: "4" }], ...keys }))
  return checked._tag === "valid" ? [] : checked.problems.map(({ path, text }) => `${path}: ${text}`)
}
