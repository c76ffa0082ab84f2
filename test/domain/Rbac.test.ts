import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { actionKeyOf, ControlVerb } from "../../src/domain/Control.js"
import { decide, matches, RbacPolicy } from "../../src/domain/Rbac.js"

const decodePolicy = Schema.decodeUnknownSync(RbacPolicy, { errors: "all", onExcessProperty: "error" })

const team = (policy: { readonly bindings?: unknown; readonly roles?: unknown }) =>
  decodePolicy({ schema_version: 1, team_mode: true, ...policy })

const problemsOf = (policy: unknown): string => {
  try {
    decodePolicy(policy)
    return ""
  } catch (error) {
    return ParseResult.isParseError(error) ? error.message : String(error)
  }
}

const example = team({
  bindings: [
    { principal: "local:ada", roles: ["operator"] },
    { principal: "ci:*", roles: ["viewer"] },
    { principal: "ci:release", roles: ["operator", "careful"] }
  ],
  roles: {
    operator: { allow: ["control:rl:*"] },
    viewer: { allow: ["control:rl:status"] },
    careful: { deny: ["control:rl:cancel"] }
  }
})

describe("a policy's decision", () => {
  it.each(
    [
      ["local:ada", "cancel", "allow_role_permission"],
      [" local:ada ", "cancel", "allow_role_permission"],
      ["ci:nightly", "status", "allow_role_permission"],
      ["ci:nightly", "pause", "deny_no_matching_permission"],
      ["ci:release", "pause", "allow_role_permission"],
      ["ci:release", "cancel", "deny_role_permission"],
      ["local:eve", "status", "deny_unbound_principal"],
      ["local:ada2", "status", "deny_unbound_principal"],
      ["", "status", "deny_principal_missing"],
      ["  ", "status", "deny_principal_missing"]
    ] as const
  )("for %j to %s is %s", (principal, verb, reason) => {
    const decision = decide(example, principal, actionKeyOf(verb))
    assert.deepStrictEqual(decision, { allowed: reason.startsWith("allow"), reason })
  })

  it("minds no blanks around what a policy names", () => {
    const policy = team({
      bindings: [{ principal: " ada ", roles: ["r"] }],
      roles: { r: { allow: [" control:rl:pause "] } }
    })
    assert.strictEqual(decide(policy, "ada", actionKeyOf("pause")).reason, "allow_role_permission")
  })

  it.prop(
    "allows everybody everything without a policy, and with one that is off",
    [FastCheck.string(), ControlVerb],
    ([principal, verb]) => {
      for (const policy of [null, { ...example, team_mode: false }]) {
        assert.strictEqual(decide(policy, principal, actionKeyOf(verb)).reason, "allow_team_mode_disabled")
      }
    }
  )

  // Few names, so that bindings, roles and principals meet; each role once allows and once denies.
  const name = FastCheck.constantFrom("*", "a", "b", "a*", "*b", "ab")
  const permission = FastCheck.constantFrom("*", "control:rl:*", "control:rl:pause", "control:rl:cancel", "other")
  const role = FastCheck.record({
    allow: FastCheck.array(permission, { maxLength: 2 }),
    deny: FastCheck.array(permission, { maxLength: 1 })
  })
  const policies = FastCheck.record({
    bindings: FastCheck.uniqueArray(
      FastCheck.record({
        principal: name,
        roles: FastCheck.array(FastCheck.constantFrom("r", "s"), { minLength: 1, maxLength: 2 })
      }),
      { selector: ({ principal }) => principal, maxLength: 4 }
    ),
    roles: FastCheck.record({ r: role, s: role })
  }).map(team)
  const principals = FastCheck.constantFrom("a", "b", "ab", "c")

  it.prop("a denial beats every permission", [policies, principals, ControlVerb], ([policy, principal, verb]) => {
    const denied = {
      ...policy,
      bindings: [...policy.bindings, { principal: "*", roles: ["nobody"] }],
      roles: { ...policy.roles, nobody: { allow: ["*"], deny: ["*"] } }
    }
    assert.strictEqual(decide(denied, principal, actionKeyOf(verb)).reason, "deny_role_permission")
  })

  it.prop(
    "allows only what a role of a matching binding allows and none denies",
    [policies, principals, ControlVerb],
    ([policy, principal, verb]) => {
      const covers = (pattern: string, text: string) =>
        new RegExp(`^${pattern.split("*").map((part) => part.replaceAll(/\W/g, "\\$&")).join(".*")}$`).test(text)
      const roles = policy.bindings
        .filter((binding) => covers(binding.principal, principal))
        .flatMap((binding) => binding.roles.map((each) => policy.roles[each]!))
      const some = (side: "allow" | "deny") =>
        roles.some((each) => each[side].some((pattern) => covers(pattern, actionKeyOf(verb))))
      assert.strictEqual(
        decide(policy, principal, actionKeyOf(verb)).allowed,
        some("allow") && !some("deny")
      )
    }
  )
})

describe("a wildcard", () => {
  /** Every text of at most so many of the characters. */
  const all = (characters: string, lengthMax: number): ReadonlyArray<string> =>
    lengthMax === 0
      ? [""]
      : ["", ...all(characters, lengthMax - 1).flatMap((text) => [...characters].map((one) => text + one))]

  it("matches what the same pattern as a regular expression matches", () => {
    const texts = [...new Set(all("ab", 4))]
    for (const glob of new Set(all("ab*", 5))) {
      const expected = new RegExp(`^${glob.replaceAll("*", ".*")}$`)
      for (const text of texts) assert.strictEqual(matches(glob, text), expected.test(text), `${glob} and ${text}`)
    }
  })

  it("answers at once where a regular expression would search for years", () => {
    assert.isFalse(matches(`${"a*".repeat(5_000)}b`, "a".repeat(20_000)))
    assert.isFalse(matches(`${"a*".repeat(5_000)}b*a`, "a".repeat(20_000)))
  })
})

describe("a policy file", () => {
  it.prop("survives a round trip through JSON", [Arbitrary.make(RbacPolicy)], ([policy]) => {
    const encoded = Schema.encodeSync(Schema.parseJson(RbacPolicy))(policy)
    assert.deepStrictEqual(Schema.decodeSync(Schema.parseJson(RbacPolicy))(encoded), policy)
  })

  const roles = { viewer: { allow: ["control:rl:status"] } }
  it.each([
    ["a principal bound twice", "bound twice", [{ principal: "a", roles: ["viewer"] }, {
      principal: "a ",
      roles: ["viewer"]
    }]],
    ["an empty principal", "must not be empty", [{ principal: " ", roles: ["viewer"] }]],
    ["a binding without roles", "has no roles", [{ principal: "a", roles: [] }]],
    ["a role that does not exist", "there is no role \"owner\"", [{ principal: "a", roles: ["owner"] }]],
    ["a role named like a part of every object", "there is no role", [{ principal: "a", roles: ["constructor"] }]]
  ])("with %s is refused", (_, problem, bindings) => {
    assert.include(problemsOf({ schema_version: 1, team_mode: true, bindings, roles }), problem)
    assert.include(problemsOf({ schema_version: 1, team_mode: false, bindings, roles }), problem)
  })

  it("of another version, without team_mode or with a misspelt key is refused", () => {
    assert.include(problemsOf({ schema_version: 2, team_mode: true }), "schema_version")
    assert.include(problemsOf({ schema_version: 1 }), "team_mode")
    assert.include(problemsOf({ schema_version: 1, team_mode: true, roles: { r: { denny: ["*"] } } }), "denny")
    assert.include(
      problemsOf(JSON.parse(`{"schema_version":1,"team_mode":true,"roles":{"__proto__":{}}}`)),
      "__proto__"
    )
    assert.strictEqual(problemsOf({ schema_version: 1, team_mode: false }), "")
  })
})
