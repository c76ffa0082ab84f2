/** What `tau benchmark run` is given for the suite in its folder, answered by the simulated model. */
export const suiteArgs = (
  kind: "baseline" | "trained",
  resources: string,
  ...more: ReadonlyArray<string>
): ReadonlyArray<string> => [
  "benchmark",
  "run",
  "--suite=suite.json",
  "--model=sim/arithmetic",
  `--resources=${resources}`,
  `--report-kind=${kind}`,
  ...more
]
