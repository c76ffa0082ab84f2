/** Text with placeholders: `{{prompt}}`, or `{{a.b}}` for a field of a field. Pure, and a value is never read as a template. */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { resourceText, type ResourceValues } from "./Resources.js"

/** A placeholder names what is not there. */
export class TemplateFieldMissing extends Schema.TaggedError<TemplateFieldMissing>()("TemplateFieldMissing", {
  path: Schema.String
}) {
  override get message() {
    return `the template names {{${this.path}}}, which is not there`
  }
}

/**
 * A path of names, of any script, or array positions. Other text in double braces is no placeholder; a backslash before one
 * keeps it.
 */
const placeholder = /(\\?)\{\{[ \t]*([\p{L}\p{M}\p{N}_$-]+(?:\.[\p{L}\p{M}\p{N}_$-]+)*)[ \t]*\}\}/gu

/** Fills every placeholder from the scope: strings as they are, anything else as JSON. */
export const render = (template: string, scope: ResourceValues): Either.Either<string, TemplateFieldMissing> =>
  fill(template, scope, () => true)

/** Fills only placeholders `{{resources.name}}`: all other braces belong to the text, which may come from a model. */
export const renderResources = (
  template: string,
  resources: ResourceValues
): Either.Either<string, TemplateFieldMissing> => fill(template, { resources }, (path) => path.startsWith("resources."))

/** The template that `renderResources` makes this text of, whatever braces it has. */
export const escapeResources = (text: string): string =>
  text.replace(placeholder, (match, _, path: string) => path.startsWith("resources.") ? `\\${match}` : match)

/** Whether a template says the same of every example: nothing in it names a field of one. */
export const isConstant = (template: string): boolean =>
  [...template.matchAll(placeholder)].every(([, escape, path]) => escape !== "" || path!.startsWith("resources."))

const fill = (template: string, scope: ResourceValues, mine: (path: string) => boolean) => {
  const missing: Array<string> = []
  const text = template.replace(placeholder, (match, escape: string, path: string) => {
    if (!mine(path)) return match
    if (escape !== "") return match.slice(1)
    return Option.getOrElse(lookUp(scope, path), () => {
      missing.push(path)
      return ""
    })
  })
  return missing[0] === undefined ? Either.right(text) : Either.left(new TemplateFieldMissing({ path: missing[0] }))
}

/** Own fields only: `{{constructor}}` is not there. */
const lookUp = (scope: ResourceValues, path: string): Option.Option<string> => {
  let value: unknown = scope
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return Option.none()
    value = (value as ResourceValues)[name]
  }
  return value === undefined ? Option.none() : Option.some(resourceText(value))
}
