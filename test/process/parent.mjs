// Stands for a tau that is killed: runs the command given as JSON, then waits.
import * as Effect from "effect/Effect"
import * as ChildProcess from "../../dist/process/ChildProcess.js"

void Effect.runPromise(ChildProcess.run(JSON.parse(process.argv[2])))
