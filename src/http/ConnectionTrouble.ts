/** Why a server could not be reached or broke off, in words: the code and what it means, as far as the error has both. */
export const connectionTrouble = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown error"
  const code = "code" in cause ? String(cause.code ?? "") : ""
  // A host with several addresses fails with an error that has a code and no message; what is no HTTP, with one whose code is undefined.
  return code === "" ? cause.message : cause.message === "" ? code : `${code} (${cause.message})`
}
