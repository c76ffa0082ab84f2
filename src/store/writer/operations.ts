import { createClientKey, noteKeysUsed, revokeClientKey } from "./clientKeys.js"
import { applyControl, recordControl } from "./control.js"
import { endProcess, giveUpSpans, heartbeatProcess, startProcess } from "./processes.js"
import { pruneBodies, pruneCalls, prunePieces } from "./prune.js"
import { publishResources } from "./resources.js"
import { abandon, cancelRun, claim, claimEach, fail, heartbeat, release, rescue, start, succeed } from "./rollouts.js"
import { beginRun, endRun } from "./runs.js"
import { beginReflection, endReflection, endSearch, openGate, promote, takeSearchStep } from "./search.js"
import { findRoom } from "./space.js"
import { closeSpan, openSpan } from "./spans.js"
import { endWorker, startWorker } from "./workers.js"

/** Everything the writer thread can be asked to do. Each is a plain function of the connection and its input. */
export const operations = {
  beginRun,
  endRun,
  startProcess,
  heartbeatProcess,
  endProcess,
  giveUpSpans,
  startWorker,
  endWorker,
  publishResources,
  claim,
  claimEach,
  start,
  succeed,
  fail,
  release,
  abandon,
  rescue,
  cancelRun,
  heartbeat,
  applyControl,
  recordControl,
  createClientKey,
  revokeClientKey,
  noteKeysUsed,
  takeSearchStep,
  beginReflection,
  endReflection,
  openGate,
  endSearch,
  promote,
  findRoom,
  pruneCalls,
  pruneBodies,
  prunePieces,
  openSpan,
  closeSpan
} as const

export type OperationName = keyof typeof operations
export type Input<Name extends OperationName> = Parameters<(typeof operations)[Name]>[1]
export type Output<Name extends OperationName> = ReturnType<(typeof operations)[Name]>
