const digitsMin = 16

/**
 * The whole number that a decimal (`12345678901234567`, `12345678901234567e0`) stands for, where a double of it is another; null for
 * any other decimal. With fewer than 16 digits before its point it is what programs write of a double: `1.152921504606847e+18`.
 */
export const roundedWhole = (decimal: string): bigint | null => {
  const [, sign, before = "", after = "", exponent = "0"] =
    /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(decimal) ?? []
  const double = Number(decimal)
  if (before.length < digitsMin || Number.isSafeInteger(double) || !Number.isFinite(double)) return null
  // Without leading zeros there are no more digits than a double has places, 309.
  const digits = (before + after).replace(/^0+/, "")
  const places = Number(exponent) - after.length
  if (places < 0 && !/^0*$/.test(digits.slice(places))) return null
  const whole = BigInt(sign + (places < 0 ? digits.slice(0, places) : digits + "0".repeat(places)))
  return whole === BigInt(double) ? null : whole
}
