import { expect, it } from "@effect/vitest"
import { problemsWith } from "../support/config.js"

const resources = { "a/b": "", "": "", "..": "", a_b: "", "a-b": "", "x\u001B[2J": "", "with space": "" }

it("refuses resources that an agent's process cannot be given, before anything is run", () => {
  const name = "expected a name that a process can be given a resource under: the resource"
  expect(problemsWith({ resources, executor: { kind: "command", command: ["x"] } })).toEqual([
    `$.resources["a/b"]: ${name} name "a/b" cannot be a file name`,
    `$.resources[""]: ${name} name "" cannot be a file name`,
    `$.resources[".."]: ${name} name ".." cannot be a file name`,
    `$.resources["a-b"]: ${name}s a_b and a-b would share the variable TAU_RESOURCE_A_B: rename one`,
    `$.resources["x\\u001b[2J"]: ${name} name "x\\u001b[2J" cannot be a file name`
  ])
})

it("takes any name of a resource where no process is given it", () => {
  expect(problemsWith({ resources })).toEqual([])
})
