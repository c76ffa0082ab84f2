import { defineCommand } from "../Command.js"

export const artifactKinds = ["proof", "report", "playbook"] as const
export type ArtifactKind = typeof artifactKinds[number]

export const validate = defineCommand({
  name: "validate",
  summary: "Check an evidence artifact: a benchmark proof, a report or a drill's playbook",
  description:
    "tau validate checks an artifact against every rule of the protocol, recomputes what follows from the rest (paths, "
    + "times, the verdict), and prints one line: ok, or what is wrong with which field. Exit code 0 when it is valid, 1 when "
    + "it is not, 2 when it cannot be checked.",
  examples: ["tau validate proof tasks/reports/m24-benchmark-proof-m24-demo.json"],
  operands: [{ name: "kind", words: artifactKinds }, { name: "FILE" }],
  flags: [],
  read: ({ operands: [kind, file] }) => ({ kind: kind as ArtifactKind, file: file! }),
  load: () => import("../ValidateCommand.js")
})
