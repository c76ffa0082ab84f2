/** Runs before every test file. `TAU_TEST_RUNS=5000` looks at so many cases of each property that does not say how many. */
import * as FastCheck from "effect/FastCheck"
import { testSeed } from "./seed.js"

FastCheck.configureGlobal({ seed: testSeed, numRuns: Number(process.env["TAU_TEST_RUNS"] ?? 100) })
