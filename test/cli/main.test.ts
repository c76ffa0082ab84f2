import { describe, expect, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { commands } from "../../src/cli/commands.js"
import { aliases, rootFlags } from "../../src/cli/flags.js"
import { helpText } from "../../src/cli/help.js"
import { root, tau, warning } from "./tau.js"

const p = "--prompt-optimization"
const scratch = mkdtempSync(join(tmpdir(), "tau-cli-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe("a run without a search", () => {
  it("refuses to force a version that nothing will find, and writes nothing", () => {
    const folder = mkdtempSync(join(scratch, "force-"))
    writeFileSync(join(folder, "c.json"), JSON.stringify({ optimize: [{ prompt: "2 + 2" }] }))
    const { status, stderr } = tau(["--model=sim/arithmetic", `${p}-config=c.json`, "--force"], {}, folder)
    expect(status).toBe(2)
    expect(stderr).toBe(
      "tau: --force needs a search, and c.json has none: its $.optimizer.algorithm is \"evaluate\"\n"
    )
    expect(readdirSync(folder)).toEqual(["c.json"])
  })
})

describe("help", () => {
  it("names every flag, in lines of 80 columns, without colours for a program", () => {
    const { status, stderr, stdout } = tau(["--help"])
    expect([status, stderr]).toEqual([0, ""])
    for (const { name } of rootFlags) {
      expect(stdout.split("\n").some((line) => line.trim().split(" ")[0] === `--${name}`)).toBe(true)
    }
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([])
    expect(stdout).not.toContain("\u001B")
    expect(tau(["-h"]).stdout).toBe(stdout)
    expect(tau(["--model", "--bogus", "--help"]).stdout).toBe(stdout)
  })

  it("is given by the words that other commands know it by", () => {
    const { status, stderr, stdout } = tau(["help"])
    expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: "", stdout: tau(["--help"]).stdout })
    expect(tau(["help", "runs"]).stdout).toBe(tau(["runs", "--help"]).stdout)
    expect(tau(["help", "help"]).stdout).toBe(stdout)
    expect(tau(["version"]).stdout).toBe(tau(["--version"]).stdout)
    expect(tau(["help", "optimize"])).toMatchObject({ status: 2, stdout: "" })
  })

  it.each(commands)("of tau $name names its flags, and tau --help names the command", ({ flags, name, usage }) => {
    const { status, stdout } = tau([name, "--help"])
    expect(status).toBe(0)
    for (const flag of flags) {
      expect(stdout.split("\n").some((line) => line.trim().split(" ")[0] === `--${flag.name}`)).toBe(true)
    }
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([])
    expect(tau(["--help"]).stdout).toContain(`  ${usage}\n`)
  })

  it("has titles that can be made bold", () => {
    expect(helpText(undefined, (text) => `<b>${text}</b>`)).toContain("<b>Capture</b>")
  })

  it("goes to stderr with exit code 2 when nothing is asked for", () => {
    const { status, stderr, stdout } = tau([])
    expect([status, stdout]).toEqual([2, ""])
    expect(stderr).toBe(tau(["--help"]).stdout)
  })

  it("and version and mistakes need none of the packages, so that they answer at once", () => {
    const bare = join(scratch, "bare")
    for (const part of ["dist/cli", "dist/bundle", "package.json"]) {
      cpSync(join(root, part), join(bare, part), { recursive: true })
    }
    const bundled = join(bare, "dist/bundle")
    for (const name of readdirSync(bundled)) if (!name.startsWith("main-")) rmSync(join(bundled, name))
    const run = (...args: ReadonlyArray<string>) =>
      spawnSync(process.execPath, [join(bare, "dist/cli/main.js"), ...args], { encoding: "utf8", cwd: bare })
    expect(run("--help")).toMatchObject({ status: 0, stderr: "" })
    expect(run("--version")).toMatchObject({ status: 0, stderr: "" })
    for (const { name } of commands) {
      expect(run(name, "--help")).toMatchObject({ status: 0, stderr: "" })
      expect(run(name, "--bogus")).toMatchObject({ status: 2 })
    }
    expect(run("--bogus")).toMatchObject({ status: 2, stderr: "tau: unknown flag \"--bogus\"; see tau --help\n" })
  })

  it("is no failure when its reader leaves early", async () => {
    const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), "--help"], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    child.stdout.destroy()
    const stderr = child.stderr.setEncoding("utf8").toArray()
    expect(await once(child, "exit")).toEqual([0, null])
    expect((await stderr).join("")).toBe("")
  })
})

it("--version prints the version of the package", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }
  expect(tau(["--version"])).toEqual({ status: 0, stdout: `tau ${version}\n`, stderr: "" })
  expect(tau(["-V"]).stdout).toBe(`tau ${version}\n`)
})

describe("a mistake is one line on stderr and exit code 2", () => {
  it.each<readonly [ReadonlyArray<string>, string, Record<string, string>]>([
    [["--bogus", "1"], "unknown flag \"--bogus\"; see tau --help", {}],
    [["--prompt-optimization-jsn"], `unknown flag "--prompt-optimization-jsn"; did you mean ${p}-json?`, {}],
    [[`${p}-config`, "c", `${p}-proxy-server`], `${p}-config and ${p}-proxy-server do not go together: choose one`, {}],
    [
      [`${p}-config`, "c", `${p}-control-status`],
      `${p}-config and ${p}-control-status do not go together: choose one`,
      {}
    ],
    [
      [`${p}-config=c`],
      "--model is required with --prompt-optimization-config: give provider/model such as openai/gpt-4o-mini",
      {}
    ],
    [
      [`${p}-proxy-server`, "--model=openai/x"],
      "TAU_PROMPT_OPTIMIZATION_PROXY_TIMEOUT_MS: expected a whole number of milliseconds from 1 to 2147483647, found \"0\"",
      { TAU_PROMPT_OPTIMIZATION_PROXY_TIMEOUT_MS: "0" }
    ],
    [["simulat"], "unknown command \"simulat\"; did you mean tau simulate?", {}],
    [["keys", "foo"], "tau keys: expected create|list|revoke, found \"foo\"", {}],
    [["optimize", "--help"], "unknown command \"optimize\"; see tau --help", {}],
    [["simulat", "--version"], "unknown command \"simulat\"; did you mean tau simulate?", {}],
    [["simulate", "--seed=x"], "--seed: expected a whole number from 0 to 9007199254740991, found \"x\"", {}]
  ])("%j", (args, line, variables) => {
    const stderr = `${line.startsWith("tau ") ? "" : "tau: "}${line}\n`
    expect(tau(args, variables)).toEqual({ status: 2, stdout: "", stderr })
  })
})

describe("old names", () => {
  it("warn on stderr in the order of the arguments, before anything else", () => {
    const { status, stderr, stdout } = tau(["--train-json", "--train-config=c", "--train-store-sqlite", "s", "--bogus"])
    expect([status, stdout]).toEqual([2, ""])
    expect(stderr).toBe(
      warning("train-json", "prompt-optimization-json") + warning("train-config", "prompt-optimization-config")
        + warning("train-store-sqlite", "prompt-optimization-store-sqlite") +
        "tau: unknown flag \"--bogus\"; see tau --help\n"
    )
  })

  it.each([...aliases])("--%s means --%s, a duplicate of it too", (old, current) => {
    const { status, stderr } = tau([`--${old}=1`, `--${current}=1`])
    expect(status).toBe(2)
    expect(stderr).toBe(`${warning(old, current)}tau: --${current} is given twice\n`)
  })
})

describe("a file that cannot be used", () => {
  const proxy = [`${p}-proxy-server`, `${p}-proxy-upstream-url=http://127.0.0.1:9/v1`]

  it.each([
    [["simulate", "--answers=none.json"], 2, /^tau: none\.json: file: expected a file .*\(no such file or folder\)/],
    [["simulate", "--answers=."], 2, /^tau: \.: file: expected a file .*\(a folder stands where a file was expected\)/],
    [["simulate", "--log=none/log"], 1, /could not start: none\/log: no such file or folder$/m],
    [
      [...proxy, `${p}-proxy-redact=none.json`],
      2,
      /^tau: none\.json: expected a file of redaction rules, found no such/
    ]
  ])("is told of in words: %s", (args, code, words) => {
    const { status, stderr } = tau(args, {}, mkdtempSync(join(scratch, "file-")))
    expect(status).toBe(code)
    expect(stderr).toMatch(words)
  })
})

describe("a config that cannot be used", () => {
  const config = (text: string) => {
    const folder = mkdtempSync(join(scratch, "run-"))
    writeFileSync(join(folder, "c.json"), text)
    return { ...tau(["--model=openai/x", `${p}-config=c.json`], {}, folder), files: readdirSync(folder) }
  }

  it("ends with exit code 2, a line for each problem, and nothing written", () => {
    expect(config("{\"optimize\":[{\"prompt\":\"a\"}],\"worker_count\":0,\"gat\":{}}")).toEqual({
      status: 2,
      stdout: "",
      stderr: "tau: c.json: $.gat: unknown key \"gat\"; did you mean \"gate\"?\n"
        + "tau: c.json: $.worker_count: expected a whole number of workers from 1 to 1000, found 0\n",
      files: ["c.json"]
    })
    expect(config("{")).toMatchObject({
      status: 2,
      stderr: "tau: c.json: line 1, column 2: expected a key in double quotes, found the end of the file\n",
      files: ["c.json"]
    })
  })
})
