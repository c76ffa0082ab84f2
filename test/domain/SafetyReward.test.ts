import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Reward } from "../../src/domain/Reward.js"
import { safetyPenaltyOf, SafetyRewardConfig, withSafety } from "../../src/domain/SafetyReward.js"

const policy = (given: typeof SafetyRewardConfig.Encoded = {}) => Schema.decodeSync(SafetyRewardConfig)(given)
const scored = { rewards: [new Reward({ name: "numeric", value: 1, feedback: null })], score: 1 }

const judged = (codes: ReadonlyArray<string>, blockedEvents = 0, given: typeof SafetyRewardConfig.Encoded = {}) => {
  const verdict = withSafety(policy(given), { reasonCodes: new Set(codes), blockedEvents }, scored)
  const rewards = Object.fromEntries(verdict.rewards.map(({ name, value }) => [name, value]))
  return { score: verdict.score, isGated: verdict.isGated, rewards, penalty: safetyPenaltyOf(verdict.rewards) }
}

describe("safety_reward", () => {
  it("leaves an attempt without signals as it is", () => {
    assert.deepStrictEqual(judged([]), { score: 1, isGated: false, rewards: { numeric: 1 }, penalty: 0 })
  })

  it("fines each kind of reason code, an own penalty before all others", () => {
    assert.strictEqual(judged(["prompt_injection.role_override"]).penalty, 1)
    assert.strictEqual(judged(["tone.rude"]).penalty, 0.25)
    assert.strictEqual(judged(["tone.rude", "prompt_injection.x"]).rewards["safety.penalty_total"], -1.25)
    assert.strictEqual(judged(["tone.rude"], 0, { reason_code_penalties: { "tone.rude": 3 } }).penalty, 3)
    assert.strictEqual(
      judged(["prompt_injection.x"], 0, { reason_code_penalties: { "prompt_injection.x": 0 } }).penalty,
      0
    )
  })

  it.each([
    ["secret_leak.openai_key", 1.5],
    ["prompt_injection.system_prompt_exfiltration", 1],
    ["secret_leak.redaction_failed", 1.5]
  ])("clamps the other rewards to the ceiling for %s", (code, total) => {
    assert.deepStrictEqual(judged([code]), {
      score: 0,
      isGated: true,
      rewards: {
        numeric: 0,
        "safety.penalty_total": -total,
        "safety.hard_gate_penalty": -1,
        "safety.hard_gate_triggered": 1
      },
      penalty: total + 1
    })
    assert.strictEqual(judged([code], 0, { hard_gate_reward_ceiling: -2 }).rewards["numeric"], -2)
  })

  it("gates a blocked event unless it is told not to, and fines each", () => {
    assert.isTrue(judged([], 1).isGated)
    const lenient = judged([], 2, { blocked_event_triggers_hard_gate: false })
    assert.isFalse(lenient.isGated)
    assert.strictEqual(lenient.rewards["safety.penalty_total"], -2)
    assert.strictEqual(lenient.score, 1)
  })

  it("refuses penalties below 0 and a ceiling above 0", () => {
    for (
      const wrong of [{ blocked_penalty: -1 }, { hard_gate_reward_ceiling: 0.5 }, { secret_leak_penalty: Number.NaN }]
    ) {
      assert.throws(() => policy(wrong))
    }
  })
})
