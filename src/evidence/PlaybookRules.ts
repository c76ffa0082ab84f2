/** What the artifact of a resume-after-crash drill must hold. */
import { Fields, type Problem } from "./Fields.js"

/** Of a drill: the time at which it began, or any digits and hyphens. */
export const drillIdPattern = /^m24-recovery-[0-9-]+$/

/** Everything that is wrong with a parsed playbook; none when it is fine. */
export const playbookProblems = (value: unknown): ReadonlyArray<Problem> => {
  const playbook = Fields.of(value)
  playbook.choice("schema_version", [1])
  playbook.choice("artifact_kind", ["m24_rl_resume_after_crash_playbook"])
  playbook.text("run_id", drillIdPattern, `a text that matches ${drillIdPattern.source}`)
  const crash = playbook.object("crash_drill")
  crash.text("state_dir")
  path(crash, "running_manifest_path", ".json")
  crash.text("crash_simulation_command")
  const resume = playbook.object("resume_drill")
  resume.text("restart_command")
  resume.text("resumed_job_id")
  path(resume, "checkpoint_path", ".sqlite")
  const evidence = playbook.object("evidence")
  path(evidence, "events_log_path", "events.jsonl")
  path(evidence, "health_snapshot_path", ".json")
  path(evidence, "operator_log_path", ".log")
  const outcome = playbook.object("outcome")
  outcome.choice("resume_status", ["succeeded"])
  outcome.choice("recovery_reason_code", ["job_recovered_after_restart"])
  return playbook.problems
}

const path = (fields: Fields, key: string, ending: string) =>
  fields.text(key, new RegExp(`[^/]*${ending.replaceAll(".", "\\.")}$`), `a path that ends in ${ending}`)
