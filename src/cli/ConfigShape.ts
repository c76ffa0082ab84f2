/** Holds a value against a schema and says every difference in one tidy line, where Effect would print its union tree. */
import * as Option from "effect/Option"
import type * as AST from "effect/SchemaAST"
import { getDescriptionAnnotation } from "effect/SchemaAST"
import { pathOf } from "../domain/JsonText.js"
import { shown } from "../domain/shown.js"
import { isObject, type JsonObject } from "../openai/Json.js"
import { nearest } from "./Suggestion.js"

/** One thing wrong with the config. */
export interface Problem {
  /** Where, as `$.scoring[1].weight`. */
  readonly path: string
  /** What was expected and what was found. */
  readonly text: string
}

/** The differences between a parsed JSON value and the input side of a schema; none when it decodes. */
export const shapeProblems = (ast: AST.AST, value: unknown, path: string): ReadonlyArray<Problem> => {
  switch (ast._tag) {
    case "Transformation":
      return shapeProblems(ast.from, value, path)
    case "Refinement": {
      const fits = shapeProblems(ast.from, value, path).length === 0
        && Option.isNone(ast.filter(value, { errors: "first" }, ast))
      return fits ? [] : [mismatch(path, expectation(ast), value)]
    }
    case "TypeLiteral":
      return isObject(value) ? objectProblems(ast, value, path) : [mismatch(path, expectation(ast), value)]
    case "TupleType":
      return Array.isArray(value) ? arrayProblems(ast, value, path) : [mismatch(path, expectation(ast), value)]
    case "Union":
      return unionProblems(ast, value, path)
    case "Literal":
      return value === ast.literal ? [] : [mismatch(path, expectation(ast), value)]
    case "StringKeyword":
      return typeof value === "string" ? [] : [mismatch(path, expectation(ast), value)]
    case "NumberKeyword":
      return typeof value === "number" ? [] : [mismatch(path, expectation(ast), value)]
    case "BooleanKeyword":
      return typeof value === "boolean" ? [] : [mismatch(path, expectation(ast), value)]
    case "UnknownKeyword":
      return []
    default:
      throw new TypeError(`the config's schema uses ${ast._tag}, which this check does not know`)
  }
}

const objectProblems = (ast: AST.TypeLiteral, value: JsonObject, path: string): ReadonlyArray<Problem> => {
  const known = new Map(ast.propertySignatures.map((property) => [String(property.name), property]))
  const strangers = ast.indexSignatures.length > 0 ? [] : Object.keys(value).filter((key) => !known.has(key))
  return [
    ...strangers.map((key) => unknownKey(path, key, [...known.keys()])),
    ...[...known].flatMap(([key, property]) =>
      Object.hasOwn(value, key)
        ? shapeProblems(property.type, value[key], pathOf(path, key))
        : property.isOptional
        ? []
        : [mismatch(pathOf(path, key), expectation(property.type), undefined)]
    ),
    ...ast.indexSignatures.flatMap(({ type }) =>
      Object.entries(value).flatMap(([key, entry]) => shapeProblems(type, entry, pathOf(path, key)))
    )
  ]
}

const arrayProblems = (ast: AST.TupleType, value: ReadonlyArray<unknown>, path: string): ReadonlyArray<Problem> => {
  if (value.length < ast.elements.length) return [mismatch(path, expectation(ast), value)]
  return value.flatMap((entry, index) => {
    const type = ast.elements[index]?.type ?? ast.rest[0]?.type
    return type === undefined ? [] : shapeProblems(type, entry, pathOf(path, index))
  })
}

/** A choice of words, or of objects that a `kind` tells apart. */
const unionProblems = (ast: AST.Union, value: unknown, path: string): ReadonlyArray<Problem> => {
  const kinds = ast.types.map((type) => [literalKind(type), type] as const)
  const words = ast.types.flatMap((type) => type._tag === "Literal" ? [type.literal] : [])
  if (words.length === ast.types.length) {
    if (words.some((word) => word === value)) return []
    const known = words.filter((word) => typeof word === "string")
    return [mismatch(path, expectation(ast), value, typeof value === "string" ? nearest(value, known) : undefined)]
  }
  if (kinds.some(([kind]) => kind === undefined)) {
    return ast.types.some((type) => shapeProblems(type, value, path).length === 0)
      ? []
      : [mismatch(path, expectation(ast), value)]
  }
  if (!isObject(value)) return [mismatch(path, "an object with a kind", value)]
  const written = Object.hasOwn(value, "kind") ? value["kind"] : undefined
  const chosen = kinds.find(([kind]) => kind === written)?.[1]
  if (chosen !== undefined) return shapeProblems(chosen, value, path)
  const here = pathOf(path, "kind")
  const names = kinds.map(([kind]) => kind!)
  const meant = typeof written === "string" ? nearest(written, names) : undefined
  return [mismatch(here, `one of ${names.map(shown).join(", ")}`, written, meant)]
}

const literalKind = (ast: AST.AST): string | undefined => {
  const object = ast._tag === "Transformation" ? ast.from : ast
  if (object._tag !== "TypeLiteral") return undefined
  const kind = object.propertySignatures.find((property) => property.name === "kind")?.type
  return kind?._tag === "Literal" && typeof kind.literal === "string" ? kind.literal : undefined
}

/**
 * What a schema accepts, in words.
 * @public `scripts/dev/docs.mjs` takes it out of the build.
 */
export const expectation = (ast: AST.AST): string => {
  const described = Option.getOrUndefined(getDescriptionAnnotation(ast))
  switch (ast._tag) {
    case "Refinement":
      return described ?? expectation(ast.from)
    case "Transformation":
      return expectation(ast.from)
    case "TypeLiteral":
      return described ?? "an object"
    case "TupleType":
      return arrayOf(ast.rest[0]?.type) + (ast.elements.length > 0 ? " that is not empty" : "")
    case "Union":
      return ast.types.every((type) => type._tag === "Literal")
        ? `one of ${ast.types.map(expectation).join(", ")}`
        : ast.types.map(expectation).filter((text, index, all) => all.indexOf(text) === index).join(" or ")
    case "Literal":
      return shown(ast.literal)
    case "BooleanKeyword":
      return "true or false"
    case "NumberKeyword":
      return "a number"
    case "StringKeyword":
      return "a string"
    default:
      return "any JSON value"
  }
}

const arrayOf = (ast: AST.AST | undefined): string => {
  const entry = ast?._tag === "Refinement" || ast?._tag === "Transformation" ? ast.from : ast
  return entry?._tag === "StringKeyword"
    ? "an array of strings"
    : entry?._tag === "TypeLiteral" || entry?._tag === "Union"
    ? "an array of objects"
    : "an array"
}

const found = (value: unknown): string =>
  isObject(value)
    ? "an object"
    : !Array.isArray(value)
    ? shown(value)
    : value.length === 0
    ? "an empty array"
    : "an array"

const hint = (meant: string | undefined) => meant === undefined ? "" : `; did you mean ${shown(meant)}?`

/** What was expected and what is there; `meant` is what may have been meant. */
export const mismatch = (path: string, expected: string, value: unknown, meant?: string): Problem => ({
  path,
  text: `expected ${expected}, found ${found(value)}${hint(meant)}`
})

const unknownKey = (path: string, key: string, known: ReadonlyArray<string>): Problem => ({
  path: pathOf(path, key),
  text: `unknown key ${shown(key)}${hint(nearest(key, known)) || `; known are ${known.join(", ")}`}`
})
