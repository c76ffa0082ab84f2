/** The bytes that JSON's structure is made of. */
export const quote = 0x22
export const comma = 0x2c
export const colon = 0x3a
export const listOpens = 0x5b
export const backslash = 0x5c
export const listCloses = 0x5d
export const objectOpens = 0x7b
export const objectCloses = 0x7d

/** Where the string of a JSON text that opens here ends: behind its closing quote, or behind the text where it has none. */
export const endOfText = (json: string, open: number): number => {
  let at = open + 1
  while (at < json.length && json.charCodeAt(at) !== quote) at += json.charCodeAt(at) === backslash ? 2 : 1
  return at + 1
}

export const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
