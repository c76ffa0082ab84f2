// Stands for a tau that is killed: runs the command given as JSON, then waits. The other arguments are folders that it has made,
// of which it gives up the first.
import * as Effect from "effect/Effect"
import * as ChildProcess from "../../dist/process/ChildProcess.js"
import * as OrphanGuard from "../../dist/process/OrphanGuard.js"

const folders = process.argv.slice(3)
for (const folder of folders) OrphanGuard.watchFolder(folder)
for (const folder of folders.slice(0, 1)) OrphanGuard.releaseFolder(folder)
void Effect.runPromise(ChildProcess.run(JSON.parse(process.argv[2])))
