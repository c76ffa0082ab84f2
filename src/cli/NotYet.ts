/** What the documentation of the config knows and this version does not do. Using it is an error, never ignored. */

/** Keys, by the object they belong to. */
export const keysNotYet: Readonly<Record<string, ReadonlyArray<string>>> = {}

/** Values, by the key that takes them. */
export const valuesNotYet: Readonly<Record<string, ReadonlyArray<string>>> = {
  "$.scoring[].kind": ["judge"]
}

const isListed = (table: Readonly<Record<string, ReadonlyArray<string>>>, path: string, word: unknown): boolean =>
  typeof word === "string" && table[path.replaceAll(/\[\d+\]/g, "[]")]?.includes(word) === true

export const isKeyNotYet = (path: string, key: string): boolean => isListed(keysNotYet, path, key)
export const isValueNotYet = (path: string, value: unknown): boolean => isListed(valuesNotYet, path, value)
