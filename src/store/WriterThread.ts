/** The writer's thread. Loads no Effect: a command starts it before anything else. */
import { Worker } from "node:worker_threads"
import type { WriterData } from "./writer/protocol.js"

/** V8 lets the garbage of a thread pile up to three times 16 MB before it looks; the thread's garbage is short-lived. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 }

/** Under a test runner the sources run as TypeScript, for which a thread has no loader: it then runs the build. */
const entry = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/store/writer/worker.js" : "./writer/worker.js",
  import.meta.url
)

const start = () => new Worker(entry, { resourceLimits })

let spare: Worker | null = null

/** One that could not be loaded, or has ended, is forgotten: the next one will tell why. */
const forget = () => {
  spare = null
}

/** Starts a thread that loads while its process does, for the first store that is opened; it keeps no process alive. */
export const loadAhead = (): void => {
  try {
    spare = start()
  } catch {
    return
  }
  spare.once("error", forget)
  spare.once("exit", forget)
  spare.unref()
}

/** A thread that opens a store, and tells when it has. Throws where the system has none to give. */
export const writerThread = (data: WriterData): Worker => {
  const worker = spare ?? start()
  worker.off("error", forget).off("exit", forget)
  worker.ref()
  forget()
  worker.postMessage(data)
  return worker
}
