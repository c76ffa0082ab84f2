import { randomBytes } from "node:crypto"

const hex32 = (value: number) => value.toString(16).padStart(8, "0")

let counter = randomBytes(4).readUInt32BE()
let latest = { second: 0, digits: hex32(0) }

/**
 * A span id: the second it was made in, then a count that starts anywhere. Ids that grow are appended to the store's index,
 * where random ones would each dirty a page of their own.
 */
export const newSpanId = (): string => {
  counter = (counter + 1) >>> 0
  const second = Math.floor(Date.now() / 1000)
  if (second !== latest.second) latest = { second, digits: hex32(second) }
  return latest.digits + hex32(counter)
}

const poolBytes = 4096
let pool = ""
let used = 0

/** Random lower-case hex digits, two per byte, from a pool: one system call per hundreds of ids. */
export const randomHex = (bytes: number): string => {
  if (used + 2 * bytes > pool.length) {
    pool = randomBytes(poolBytes).toString("hex")
    used = 0
  }
  used += 2 * bytes
  return pool.slice(used - 2 * bytes, used)
}
