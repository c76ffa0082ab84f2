/** A tokenizer of our own: not a real model's, but deterministic, and the tokens joined are the text. */
const token = /\s?(?:\p{L}{1,8}|\p{N}{1,3}|[^\p{L}\p{N}\s])|\s+/gu

export const tokensOf = (text: string): ReadonlyArray<string> => text.match(token) ?? []

/** Tokens in the text, without keeping them. */
export const countTokens = (text: string): number => {
  let count = 0
  for (const _ of text.matchAll(token)) count++
  return count
}
