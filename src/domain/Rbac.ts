/** Who may do what: a policy of roles, and the decision it gives. `*` in a principal or a permission matches any text. */
import * as Schema from "effect/Schema"

const Pattern = Schema.String.pipe(
  Schema.filter((text) => text.trim() !== "" || "must not be empty")
)

const Role = Schema.Struct({
  allow: Schema.optionalWith(Schema.Array(Pattern), { default: () => [], exact: true }),
  /** Beats every `allow`, also that of another role. */
  deny: Schema.optionalWith(Schema.Array(Pattern), { default: () => [], exact: true })
})

const Binding = Schema.Struct({
  principal: Pattern,
  roles: Schema.Array(Schema.String)
})

/** `__proto__` as a key of a decoded object would set its prototype and vanish: as a role it is refused, not lost. */
const RoleName = Schema.String.pipe(Schema.filter((name) => name !== "__proto__"))

/** Decode it with `onExcessProperty: "error"`: a misspelt `deny` must not pass unseen. */
export const RbacPolicy = Schema.Struct({
  schema_version: Schema.Literal(1),
  /** False: everybody may do everything. There is no default, for neither choice is safe to guess. */
  team_mode: Schema.Boolean,
  bindings: Schema.optionalWith(Schema.Array(Binding), { default: () => [], exact: true }),
  roles: Schema.optionalWith(Schema.Record({ key: RoleName, value: Role }), {
    default: () => ({}),
    exact: true
  })
}).pipe(Schema.filter(({ bindings, roles }) =>
  bindings.flatMap(({ principal, roles: names }, index) => {
    const at = (message: string, ...path: ReadonlyArray<PropertyKey>) => ({
      path: ["bindings", index, ...path],
      message
    })
    const isRepeated = bindings.slice(0, index).some((earlier) => earlier.principal.trim() === principal.trim())
    return [
      ...(isRepeated ? [at(`the principal ${JSON.stringify(principal)} is bound twice`, "principal")] : []),
      ...(names.length === 0 ? [at(`the principal ${JSON.stringify(principal)} has no roles`, "roles")] : []),
      ...names.flatMap((name, n) =>
        Object.hasOwn(roles, name) ? [] : [at(`there is no role ${JSON.stringify(name)}`, "roles", n)]
      )
    ]
  })
))
export type RbacPolicy = typeof RbacPolicy.Type

export type RbacReason =
  | "allow_team_mode_disabled"
  | "allow_role_permission"
  | "deny_principal_missing"
  | "deny_unbound_principal"
  | "deny_role_permission"
  | "deny_no_matching_permission"
  /** There is a policy and it cannot be read: no answer of `decide`. */
  | "deny_policy_invalid"

export interface RbacDecision {
  readonly allowed: boolean
  readonly reason: RbacReason
}

/** Total: every policy, principal and action has exactly one answer. `null` is no policy at all, which allows. */
export const decide = (policy: RbacPolicy | null, principal: string, action: string): RbacDecision => {
  if (policy === null || !policy.team_mode) return { allowed: true, reason: "allow_team_mode_disabled" }
  const name = principal.trim()
  if (name === "") return { allowed: false, reason: "deny_principal_missing" }
  // All bindings that match count, an exact one no more than a wildcard: a denial cannot be outrun by being specific.
  const bindings = policy.bindings.filter((binding) => matches(binding.principal.trim(), name))
  if (bindings.length === 0) return { allowed: false, reason: "deny_unbound_principal" }
  const roles = bindings.flatMap((binding) => binding.roles).map((role) => policy.roles[role])
  const covers = (patterns: ReadonlyArray<string> = []) => patterns.some((pattern) => matches(pattern.trim(), action))
  if (roles.some((role) => covers(role?.deny))) return { allowed: false, reason: "deny_role_permission" }
  if (roles.some((role) => covers(role?.allow))) return { allowed: true, reason: "allow_role_permission" }
  return { allowed: false, reason: "deny_no_matching_permission" }
}

/** Whether the whole text matches, in time linear in pattern and text for each `*`: no backtracking to run away with. */
export const matches = (pattern: string, text: string): boolean => {
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop()
  if (last === undefined) return pattern === text
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= text.length - last.length
}
