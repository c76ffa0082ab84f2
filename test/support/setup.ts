/** Runs before every test file. `TAU_TEST_RUNS=5000` looks at so many cases of each property that does not say how many. */
import * as FastCheck from "effect/FastCheck"
import { beforeEach } from "vitest"
import { testSeed } from "./seed.js"

FastCheck.configureGlobal({ seed: testSeed, numRuns: Number(process.env["TAU_TEST_RUNS"] ?? 100) })

// Tests that wait for a process without a turn of the event loop follow each other: vitest, unheard for a minute, gives up.
beforeEach(() => new Promise<void>((resolve) => void setImmediate(resolve)))
