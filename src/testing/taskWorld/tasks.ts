/** The tasks there are. */
import { agentTask } from "./AgentTask.js"
import { extractTask } from "./ExtractTask.js"
import { nullTask } from "./NullTask.js"
import type { TaskSpec } from "./Rule.js"
import { triageTask } from "./TriageTask.js"

/** By name: `extract` (smooth), `triage` (with a trap), `agent` (two components), `null` (no text helps). */
export const taskSpecs: ReadonlyArray<TaskSpec> = [extractTask, triageTask, agentTask, nullTask]
