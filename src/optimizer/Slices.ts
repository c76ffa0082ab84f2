/** The slices that an example of the config says it belongs to: the strings of its `tags`, and its `slice`. */
export const slicesOf = ({ slice, tags }: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const named = [...(Array.isArray(tags) ? tags : [tags]), slice]
  return [...new Set(named.filter((name): name is string => typeof name === "string" && name !== ""))]
}
