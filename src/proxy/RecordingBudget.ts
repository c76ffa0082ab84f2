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

  /** Room for a body of which `kept` bytes are held. Long ones leave some, so that they do not keep new calls out. */
  roomFor(kept: number): number {
    return kept < shortBytes ? this.room : Math.max(0, this.bytesMax * longShare - this.used)
  }
}

/** A body of up to this size may use all of the memory, a longer one this share of it. */
const shortBytes = 64 * 1024
const longShare = 0.75
