/** Prints targets, each as name, figure, sign, limit and unit, with whether it was met. Answers how many were not. */
export const printTargets = (targets) => {
  let missed = 0
  console.log("\nTargets")
  for (const [name, figure, sign, limit, unit] of targets) {
    const isMet = sign === "≤" ? figure <= limit : figure >= limit
    if (!isMet) missed += 1
    const shown = figure.toFixed(unit === "×" || limit < 10 ? 2 : 0)
    console.log(
      `  ${name.padEnd(36)} ${shown.padStart(7)}${unit.padEnd(3)} ${sign} ${limit}${unit.padEnd(4)} ${
        isMet ? "met" : "MISSED"
      }`
    )
  }
  return missed
}
