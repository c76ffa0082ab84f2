import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Worker threads and the command line run from the build.
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/setup.ts"],
    // Many tests wait for processes and clocks: three files at a time fill two cores.
    minWorkers: 3,
    maxWorkers: 3,
    // Loading Effect anew for each of 200 files would take a third of the time. So no file may leave anything behind in its process.
    isolate: false,
    // Twice as long as a test waits for anything (`eventually`): what never happened is named.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
