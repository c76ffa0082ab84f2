import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Worker threads and the command line run from the build.
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/properties.ts"],
    // Many tests wait for processes and clocks: on two cores two files at a time take little more than half as long.
    minWorkers: 2,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
