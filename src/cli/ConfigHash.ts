import { hash } from "node:crypto"
import type { RunConfig } from "../domain/RunConfig.js"
import { canonicalJson } from "../store/canonicalJson.js"

/**
 * Hex SHA-256 over what decides the results of a run: examples, resources, rewrite, executor, scoring, optimizer, attempts and
 * model; and, where a command is run, the folder of the config, from which its paths are meant: a copy of an agent's folder
 * holds another agent. Two configs with the same hash are the same run, however many workers they use and wherever the model is.
 */
export const configHash = (config: RunConfig, modelRef: string, folder: string): string =>
  hash(
    "sha256",
    canonicalJson({
      optimize: config.optimize,
      validate: config.validate,
      resources: config.resources,
      executor: config.executor,
      scoring: config.scoring,
      ...decisions(config),
      safety_reward: config.safety_reward,
      rewrite: config.rewrite,
      max_attempts: config.max_attempts,
      model: modelRef,
      folder: runsCommand(config) ? folder : undefined
    }),
    "hex"
  )

/** Without a search nothing but the rollouts themselves decides. */
const decisions = ({ gate, optimizer }: RunConfig) =>
  optimizer.algorithm === "evaluate"
    ? { optimizer: { algorithm: optimizer.algorithm, samples: optimizer.samples } }
    : { optimizer, gate }

const runsCommand = ({ executor, scoring }: RunConfig) =>
  executor.kind === "command" || scoring?.some(({ kind }) => kind === "command") === true
