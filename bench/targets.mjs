/**
 * Prints targets, each as name, figure, sign, limit and unit, with whether it was met. Answers how many were not. A sixth value is
 * what a floor takes that does the least there is to do: where that misses the limit as well, on this machine, it is told.
 */
export const printTargets = (targets) => {
  const meets = (figure, sign, limit) => sign === "≤" ? figure <= limit : figure >= limit
  let missed = 0
  let missedByFloor = 0
  console.log("\nTargets")
  for (const [name, figure, sign, limit, unit, floor] of targets) {
    const shown = (value) => value.toFixed(unit === "×" || limit < 10 ? 2 : 0)
    let verdict = "met"
    if (!meets(figure, sign, limit)) {
      missed += 1
      verdict = "MISSED"
      if (floor !== undefined && !meets(floor, sign, limit)) {
        missedByFloor += 1
        verdict = `MISSED, by the floor too: ${shown(floor)}`
      }
    }
    console.log(
      `  ${name.padEnd(34)} ${shown(figure).padStart(6)}${unit.padEnd(3)} ${sign} ${limit}${unit.padEnd(3)} ${verdict}`
    )
  }
  if (missedByFloor > 0) {
    console.log(
      `${missedByFloor} of the ${missed} missed ${
        missedByFloor === 1 ? "is" : "are"
      } missed by the floor too: this machine is slower than the targets'`
    )
  }
  return missed
}
