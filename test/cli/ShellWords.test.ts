import { assert, describe, it } from "@effect/vitest"
import { shellWords } from "../../src/cli/ShellWords.js"

describe("the words of a command line", () => {
  it("are those of a shell that has quotes and backslashes and nothing else", () => {
    const lines: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["python3 agent.py", ["python3", "agent.py"]],
      ["  a   b\t'c d'  ", ["a", "b", "c d"]],
      ["sh -c 'echo \"$X\" | cat'", ["sh", "-c", "echo \"$X\" | cat"]],
      ["a\"b c\"'d e'f\\ g", ["ab cd ef g"]],
      ["\"a \\\"b\\\" \\n\" ''", ["a \"b\" \\n", ""]],
      ["", []]
    ]
    for (const [line, words] of lines) assert.deepStrictEqual(shellWords(line), words, line)
  })

  it("are none where a quote is not closed", () => {
    for (const line of ["a 'b", "\"", "a\\", "'a' b\"c"]) assert.isNull(shellWords(line), line)
  })
})
