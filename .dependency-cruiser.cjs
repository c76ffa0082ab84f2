/** The architecture, as rules: which folder may import which. Nothing else is allowed. */
const below = {
  domain: [],
  http: ["openai"],
  openai: [],
  process: [],
  statistics: [],
  store: ["domain", "openai"],
  proxy: ["domain", "http", "openai", "store"],
  runtime: ["domain", "http", "openai", "process", "statistics", "store"],
  scoring: ["domain", "http", "openai", "process", "store"],
  dashboard: ["domain", "http", "store"],
  evidence: ["domain", "statistics", "store"],
  optimizer: ["domain", "http", "openai", "statistics", "store"],
  testing: ["domain", "openai"]
}

/**
 * Modules that a worker thread or a fast start loads: they must not pull in Effect, which costs 0.3 s. What they load in turn is
 * one of them as well, so that none is forgotten.
 */
const light = [
  "openai/",
  "statistics/",
  "store/(WriterThread\\.ts|writer/)",
  "process/(collection|CompiledCode)\\.ts",
  "domain/(AttemptName|AttributionPath|CommandText|Figures|FileTrouble|Lifecycle|Noise|TerminalText|shown|timerMsMax)\\.ts",
  "cli/commands/",
  "proxy/ProxyOptions\\.ts",
  "cli/(Aliases|Command|ExitCode|FlagValue|GivenFlags|ParseArguments|Principal|Providers|ProxyFlags|ReadingFlags)\\.ts",
  "cli/(RolloutFlags|RootMode|ShellWords|SpanFlags|Suggestion|commands|flags|help|main|version)\\.ts"
].map((path) => `^src/${path}`)

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
    },
    ...Object.entries(below).map(([folder, allowed]) => ({
      name: `${folder}-imports-only-${allowed.join("-") || "nothing"}`,
      severity: "error",
      from: { path: `^src/${folder}/` },
      to: { path: "^src/", pathNot: `^src/(${[folder, ...allowed].join("|")})/` }
    })),
    {
      name: "domain-is-pure",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { pathNot: "^(src/domain/|node_modules/effect/)" }
    },
    {
      name: "only-the-edges-touch-node",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: "^src/(dashboard|evidence|http|openai|optimizer/run|proxy|runtime|process|store|testing|cli)/"
      },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "light-modules-load-no-effect",
      severity: "error",
      from: { path: light },
      to: { path: "^node_modules/(effect|@effect)/", dependencyTypesNot: ["type-only"] }
    },
    {
      name: "light-modules-load-light-ones",
      severity: "error",
      from: { path: light },
      to: { path: "^src/", pathNot: light, dependencyTypesNot: ["type-only", "dynamic-import"] }
    },
    {
      // Optimizers, gate and reports: pure, so that the same answers make the same decisions.
      name: "optimizers-do-not-drive-themselves",
      severity: "error",
      from: { path: "^src/optimizer/", pathNot: "^src/optimizer/run/" },
      to: { path: "^(src/(store|http|optimizer/run)/|node_modules/effect/)" }
    },
    { name: "src-never-imports-test", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } }
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] }
  }
}
