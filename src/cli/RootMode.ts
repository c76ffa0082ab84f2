/** The modes of `tau` without a command: a run, a proxy, a control verb. Loads no Effect. */
import { join, resolve } from "node:path"
import { controlVerbs } from "../domain/Lifecycle.js"
import type { ModeName, RootFlag } from "./flags.js"
import { rootFlags } from "./flags.js"
import { type Given, Mistake, readBind, readInteger, readModel, readPath, readSwitch, readUrl } from "./FlagValue.js"
import { explicitOf, GivenFlags } from "./GivenFlags.js"
import type { ControlMode, Mode, OptimizeMode, ProxyMode } from "./Mode.js"
import { localPrincipal } from "./Principal.js"
import type { Environment } from "./Providers.js"
import { chooseUpstream, providerNamed } from "./Providers.js"
import {
  readHosts,
  readKeyVariable,
  readLimits,
  readOnDisconnect,
  readOnOff,
  readOrigins,
  readPayloads,
  readRecordPolicy,
  readStreamUsage
} from "./ProxyFlags.js"

/** Throws `Mistake`. `hint` says what may have been meant by an argument that means nothing here. */
export const rootMode = (
  args: ReadonlyArray<string>,
  environment: Environment,
  hint: (argument: string) => string | undefined = () => undefined
): Mode | undefined => {
  const { explicit } = explicitOf(args, rootFlags, "tau", { hint })
  const values = new GivenFlags(rootFlags, explicit, environment)
  const selected = selectedBy(values)
  for (const flag of rootFlags) {
    const given = explicit.get(flag.name)
    // A switch that would choose a mode and is off takes back its variable, whatever the mode.
    if (given === undefined || (flag.selects !== undefined && !isOn(given))) continue
    if (selected === undefined || !flag.modes.includes(selected.mode)) {
      throw new Mistake(misplaced(flag, selected?.mode))
    }
  }
  switch (selected?.mode) {
    case "optimize":
      return optimizeMode(values, environment)
    case "proxy":
      return proxyMode(values, environment)
    case "control":
      return controlMode(values, selected.flag.name.slice(`${p}-control-`.length))
    default:
      return undefined
  }
}

const p = "prompt-optimization"

const switchesOn: Record<ModeName, string> = {
  optimize: `--${p}-config`,
  proxy: `--${p}-proxy-server`,
  control: "a control verb; see tau --help"
}

/** Each mode has its store by a flag of its own. */
const storeOf: Record<ModeName, { readonly of: string; readonly flag: string }> = {
  optimize: { of: "a run", flag: `${p}-store-sqlite` },
  proxy: { of: "a proxy", flag: `${p}-proxy-state-dir` },
  control: { of: "a control verb", flag: `${p}-control-state-dir` }
}

/** What is wrong with a flag of other modes than the chosen one. */
const misplaced = ({ modes, name }: RootFlag, chosen: ModeName | undefined): string => {
  const [only] = modes
  if (chosen !== undefined && Object.values(storeOf).some(({ flag }) => flag === name)) {
    return `the store of ${storeOf[chosen].of} is chosen by --${storeOf[chosen].flag}`
  }
  if (only !== undefined && modes.length === 1) return `--${name} needs ${switchesOn[only]}`
  return chosen === undefined
    ? `--${name} needs a mode; see tau --help`
    : `--${name} means nothing to ${storeOf[chosen].of}`
}

/** The mode that the flags choose or, when no flag does, the variables. */
const selectedBy = (values: GivenFlags): { readonly mode: ModeName; readonly flag: RootFlag } | undefined => {
  const choices = rootFlags.filter((flag) => flag.selects !== undefined)
  const typed = choices.filter((flag) => isOn(values.explicit.get(flag.name)))
  const chosen = typed.length > 0
    ? typed
    : choices.filter((flag) => !values.explicit.has(flag.name) && isOn(values.find(flag.name)))
  const [flag] = chosen
  if (chosen.length > 1) {
    throw new Mistake(
      `${chosen.map(({ name }) => values.get(name).source).join(" and ")} do not go together: choose one`
    )
  }
  return flag?.selects === undefined ? undefined : { mode: flag.selects, flag }
}

const isOn = (given: Given | undefined): boolean =>
  given !== undefined && (given.flag.value.kind !== "switch" || readSwitch(given))

const optimizeMode = (values: GivenFlags, environment: Environment): OptimizeMode => {
  const model = values.find("model")
  if (model === undefined) {
    throw new Mistake(`--model is required with --${p}-config: give provider/model such as openai/gpt-4o-mini`)
  }
  const upstreamUrl = values.find(`${p}-proxy-upstream-url`)
  const bind = values.find(`${p}-proxy-bind`)
  const timeoutMs = values.find(`${p}-proxy-timeout-ms`)
  const storePath = readPath(values.get(`${p}-store-sqlite`))
  return {
    _tag: "optimize",
    model: readModel(model),
    modelRef: model.text,
    configPath: readPath(values.get(`${p}-config`)),
    storePath,
    ...storeElsewhere(values.find(`${p}-store-sqlite`), storePath, environment),
    json: values.isOn(`${p}-json`),
    dryRun: values.isOn("dry-run"),
    force: values.isOn("force"),
    drainMs: readInteger(values.get(`${p}-drain-ms`)),
    proxy: {
      bind: bind === undefined ? { host: "127.0.0.1", port: 0 } : readBind(bind),
      ...(upstreamUrl !== undefined && { upstreamUrl: readUrl(upstreamUrl) }),
      ...(timeoutMs !== undefined && { timeoutMs: readInteger(timeoutMs) })
    }
  }
}

/** The store that other commands read, when nobody `chose` the one that this command writes, and it is another. */
const storeElsewhere = (chosen: Given | undefined, storePath: string, environment: Environment) => {
  const read = environment["TAU_STORE"]?.trim() ?? ""
  return chosen === undefined && read !== "" && resolve(read) !== resolve(storePath) ? { storeElsewhere: read } : {}
}

const proxyMode = (values: GivenFlags, environment: Environment): ProxyMode => {
  const written = values.find("model")
  const model = written === undefined ? undefined : readModel(written)
  const url = values.find(`${p}-proxy-upstream-url`)
  const provider = model === undefined ? undefined : providerNamed(model.provider)
  const upstream = chooseUpstream({ flag: url === undefined ? undefined : readUrl(url) }, provider, environment)
  if (upstream.kind === "invalid") throw new Mistake(upstream.message)
  if (upstream.kind === "none") {
    throw new Mistake(`--${p}-proxy-server needs an upstream: --${p}-proxy-upstream-url, OPENAI_BASE_URL or --model`)
  }
  const limits = values.find(`${p}-proxy-limits`)
  const storeBytesMax = values.find(`${p}-proxy-store-max-bytes`)
  const rewrite = values.find(`${p}-proxy-rewrite`)
  const redact = values.find(`${p}-proxy-redact`)
  const keyVariable = values.find(`${p}-proxy-upstream-key-env`)
  const providerKey = upstream.kind === "url" ? environment[upstream.keyVariable ?? ""]?.trim() : undefined
  const stateDir = readPath(values.get(`${p}-proxy-state-dir`))
  const storePath = join(stateDir, "training", "store.sqlite")
  return {
    _tag: "proxy",
    bind: readBind(values.get(`${p}-proxy-bind`)),
    ...(upstream.kind === "url" && { upstreamUrl: upstream.url }),
    ...(model !== undefined && { model }),
    stateDir,
    storePath,
    ...storeElsewhere(values.find(`${p}-proxy-state-dir`), storePath, environment),
    timeoutMs: readInteger(values.get(`${p}-proxy-timeout-ms`)),
    recordPolicy: readRecordPolicy(values.get(`${p}-proxy-record-policy`)),
    onDisconnect: readOnDisconnect(values.get(`${p}-proxy-on-disconnect`)),
    streamUsage: readStreamUsage(values.get(`${p}-proxy-stream-usage`)),
    limits: limits === undefined ? {} : readLimits(limits),
    storeBytesMax: storeBytesMax === undefined ? null : readInteger(storeBytesMax),
    payloads: readPayloads(values.get(`${p}-proxy-record`)),
    ...(rewrite !== undefined && { rewritePath: readPath(rewrite) }),
    ...(redact !== undefined && { redactPath: readPath(redact) }),
    redactDefaults: readOnOff(values.get(`${p}-proxy-redact-defaults`)),
    requireKey: values.isOn(`${p}-proxy-require-key`),
    upstreamKey: keyVariable === undefined ? providerKey || null : readKeyVariable(keyVariable, environment),
    upstreamKeyAlways: keyVariable !== undefined,
    allowedHosts: readHosts(values.find(`${p}-proxy-allowed-hosts`)),
    allowedOrigins: readOrigins(values.find(`${p}-proxy-allowed-origins`))
  }
}

const controlMode = (values: GivenFlags, name: string): ControlMode => {
  const verb = controlVerbs.find((known) => known === name)!
  const principal = values.find(`${p}-control-principal`)
  return {
    _tag: "control",
    verb,
    ...(verb === "rollback" && { checkpoint: readPath(values.get(`${p}-control-rollback`)) }),
    stateDir: readPath(values.get(`${p}-control-state-dir`)),
    json: values.isOn(`${p}-control-json`),
    principal: principal?.text ?? localPrincipal(),
    rbacPolicyPath: readPath(values.get(`${p}-control-rbac-policy`))
  }
}
