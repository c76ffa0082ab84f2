/**
 * Recorded bytes in memory over all calls: those under way, and those whose spans wait for their commit. When it is used
 * up, what else passes is not recorded; holding the upstream back instead could leave all calls waiting for each other.
 */
export class RecordingBudget {
  used = 0
  /** Bodies that were recorded in part, here or at the limit of their own. */
  cuts = 0

  constructor(private readonly bytesMax: number) {}

  get room(): number {
    return Math.max(0, this.bytesMax - this.used)
  }
}
