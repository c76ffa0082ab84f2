/**
 * Milliseconds of CPU that the work takes in this process. For tests of what must not grow with the square of its input: a
 * machine that is busy with other things does not change it.
 */
export const cpuMs = (work: () => unknown): number => {
  const before = process.cpuUsage()
  work()
  return process.cpuUsage(before).user / 1_000
}
