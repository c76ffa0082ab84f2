import { setFlagsFromString } from "node:v8"

/**
 * V8 wakes a thread for each core to collect what died young. Of what a proxy leaves, most is dead: there is little to copy, and
 * waking costs more than it saves. Read anew at each collection, so that it may be set while the process runs.
 */
export const collectAlone = (): void => setFlagsFromString("--no-parallel-scavenge")
