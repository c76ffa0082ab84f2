/** The kinds of keys that a config is made of. */
import * as Schema from "effect/Schema"

/** A whole number greater than 0; `what` it counts is what an error says. */
export const positive = (what: string) =>
  Schema.Number.pipe(
    Schema.filter((value) => Number.isSafeInteger(value) && value > 0, {
      description: `a whole number of ${what} greater than 0`
    })
  )

/** A whole number with a bound. */
export const upTo = (max: number, what: string, min = 1) =>
  Schema.Number.pipe(
    Schema.filter((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
      description: `a whole number of ${what} from ${min} to ${max}`
    })
  )

/** A finite number of 0 or more, such as a weight. */
export const atLeastZero = (what: string) =>
  Schema.Finite.pipe(Schema.filter((value) => value >= 0, { description: `a ${what} of 0 or more` }))

/** A key that may be left out, with what it is then; `undefined` is no value. The description is its row in the docs. */
export const withDefault = <A, I>(schema: Schema.Schema<A, I>, value: A, description: string) =>
  Schema.optionalWith(schema, { default: () => value, exact: true }).annotations({ description })

/** A key that may be left out, and is then missing in what is decoded. */
export const optional = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.optionalWith(schema, { exact: true }).annotations({ description })

/** A whole number from `min` on. */
export const whole = (min: number, what: string) =>
  Schema.Number.pipe(
    Schema.filter((value) => Number.isSafeInteger(value) && value >= min, {
      description: `a whole number of ${what}, ${min} or more`
    })
  )

/** A share or a probability. */
export const share = (what: string) =>
  Schema.Number.pipe(Schema.filter((value) => value >= 0 && value <= 1, { description: `${what} from 0 to 1` }))
