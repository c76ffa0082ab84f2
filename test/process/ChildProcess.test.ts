import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { type Command, run } from "../../src/process/ChildProcess.js"
import { alive, eventually } from "../support/processes.js"

let dir: string
let files = 0
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tau-child-"))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const command = (argv: Command["argv"], more: Partial<Command> = {}): Command => ({
  argv,
  cwd: dir,
  env: { PATH: process.env.PATH ?? "" },
  stdoutBytesMax: 1_000_000,
  ...more
})
const sh = (script: string, more: Partial<Command> = {}) => command(["/bin/sh", "-c", script], more)
const node = (script: string, more: Partial<Command> = {}) => command([process.execPath, "-e", script], more)

/** A path that a child writes its process id to, and the id once it is there. */
const pidFile = () => {
  const path = join(dir, `pid-${files += 1}`)
  return {
    path,
    read: () =>
      Effect.promise(() =>
        eventually("a process id", () => existsSync(path) && Number(readFileSync(path, "utf8")) || undefined)
      )
  }
}
const gone = (pid: number) => Effect.promise(() => eventually(`end of process ${pid}`, () => !alive(pid)))

/** Process ids of the orphan guards that this process started. */
const guards = () =>
  spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat=,args="], { encoding: "utf8" }).stdout.split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter(([, parent, state, ...args]) =>
      Number(parent) === process.pid && !state?.startsWith("Z") && args.join(" ").includes("tau-orphan-guard")
    )
    .map(([pid]) => Number(pid))

const detail = (child: Command) => Effect.map(Effect.flip(run(child)), ({ message }) => message)

describe("ChildProcess", () => {
  it.live("returns exit code, standard output and the end of standard error", () =>
    Effect.gen(function*() {
      const finished = yield* run(sh("cat; echo note >&2; exit 137", { stdin: "hällo" }))
      assert.strictEqual(finished.stdout.toString(), "hällo")
      assert.strictEqual(finished.stderrTail, "note\n")
      assert.strictEqual(finished.exitCode, 137)
      assert.isNull(finished.signal)
    }))

  it.live("tells an end by signal from an exit", () =>
    Effect.gen(function*() {
      const finished = yield* run(sh("kill -KILL $$"))
      assert.isNull(finished.exitCode)
      assert.strictEqual(finished.signal, "SIGKILL")
    }))

  it.live("hands over exactly the given environment and no shell reads the arguments", () =>
    Effect.gen(function*() {
      const argument = "; rm -rf $HOME `id`\n$(id) * ' \""
      const finished = yield* run(
        command([process.execPath, "-p", "JSON.stringify([process.argv[1], process.env])", argument], {
          env: { ONLY: "this" }
        })
      )
      assert.deepStrictEqual(JSON.parse(finished.stdout.toString()), [argument, { ONLY: "this" }])
    }))

  it.live("does not mind a child that never reads a large input", () =>
    Effect.gen(function*() {
      const finished = yield* run(sh("exit 0", { stdin: "x".repeat(5_000_000) }))
      assert.strictEqual(finished.exitCode, 0)
    }))

  it.live("does not mind a child that closes its output early", () =>
    Effect.gen(function*() {
      const finished = yield* run(sh("echo early; exec >&- 2>&-; exit 3"))
      assert.strictEqual(finished.stdout.toString(), "early\n")
      assert.strictEqual(finished.exitCode, 3)
    }))

  it.live("keeps all output of a child that prints up to the limit and exits at once", () =>
    Effect.gen(function*() {
      const finished = yield* run(node("process.stdout.write('x'.repeat(1_000_000))"))
      assert.strictEqual(finished.stdout.length, 1_000_000)
    }))

  it.live("stops a child that prints 50 MB", () =>
    Effect.gen(function*() {
      const pid = pidFile()
      const error = yield* Effect.flip(
        run(sh(`echo $$ > ${pid.path}; echo why >&2; exec head -c 50000000 /dev/zero`, { stdoutBytesMax: 1000 }))
      )
      assert.strictEqual(error._tag, "OutputTooLarge")
      assert.match(error.message, /more than 1000 bytes/)
      yield* gone(yield* pid.read())
    }))

  it.live("keeps the last 4 KiB of standard error as valid text, whatever the child wrote", () =>
    Effect.gen(function*() {
      const cut = yield* run(node("process.stderr.write('é'.repeat(50_000) + 'x')"))
      assert.strictEqual(cut.stderrTail, "é".repeat(2047) + "x")
      const garbage = yield* run(node("process.stderr.write(Buffer.alloc(10_000, 0xff))"))
      assert.isAtMost(Buffer.byteLength(garbage.stderrTail), 4096)
      assert.match(garbage.stderrTail, /^\uFFFD+$/)
      const partial = yield* run(sh(String.raw`printf 'a\303' >&2`))
      assert.strictEqual(partial.stderrTail, "a\uFFFD")
    }))

  it.live("stops a child that ignores SIGTERM after the grace when its time is up", () =>
    Effect.gen(function*() {
      const pid = pidFile()
      const script = `trap '' TERM; echo $$ > ${pid.path}; echo stuck >&2; while :; do sleep 0.05; done`
      const error = yield* Effect.flip(run(sh(script, { timeLimit: "2 seconds", grace: "200 millis" })))
      assert.strictEqual(error._tag, "TimedOut")
      assert.strictEqual(error._tag === "TimedOut" ? error.stderrTail : "", "stuck\n")
      yield* gone(yield* pid.read())
    }))

  it.live("stops a child that ignores SIGTERM also when a second interruption comes during its grace", () =>
    Effect.gen(function*() {
      const pid = pidFile()
      const told = join(dir, "told")
      const script = `trap 'echo yes > ${told}' TERM; echo $$ > ${pid.path}; while :; do sleep 0.05; done`
      const fiber = yield* Effect.fork(run(sh(script, { grace: "500 millis" })))
      const childPid = yield* pid.read()
      fiber.unsafeInterruptAsFork(FiberId.none)
      yield* Effect.promise(() => eventually("the child to be told", () => existsSync(told) || undefined))
      yield* Fiber.interrupt(fiber)
      assert.isFalse(alive(childPid))
    }))

  it.live("gives the whole group its grace when interrupted, also when the leader ends at once", () =>
    Effect.gen(function*() {
      const pid = pidFile()
      const saved = join(dir, "saved")
      const worker =
        `trap 'sleep 0.2; echo yes > ${saved}; exit' TERM; echo $$ > ${pid.path}; while :; do sleep 0.05; done`
      const fiber = yield* Effect.fork(run(sh(`/bin/sh -c "$WORK" & wait`, { env: { ...PATH(), WORK: worker } })))
      const workerPid = yield* pid.read()
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(readFileSync(saved, "utf8"), "yes\n")
      // Its pipes are closed a moment before it has ended.
      yield* gone(workerPid)
    }))

  it.live("leaves no child and no double-forked child behind a leader that exits", () =>
    Effect.gen(function*() {
      const first = pidFile()
      const second = pidFile()
      const finished = yield* run(
        sh(`
          trap '' HUP TERM
          sh -c 'echo $$ > ${first.path}; exec sleep 300' &
          (sh -c 'echo $$ > ${second.path}; exec sleep 300' &)
          until [ -s ${first.path} ] && [ -s ${second.path} ]; do sleep 0.02; done
          echo answer`)
      )
      assert.strictEqual(finished.stdout.toString(), "answer\n")
      assert.strictEqual(finished.exitCode, 0)
      yield* gone(yield* first.read())
      yield* gone(yield* second.read())
    }))

  it.live("does not wait for a process outside the group that holds standard output open", () =>
    Effect.gen(function*() {
      const daemon = pidFile()
      const finished = yield* run(
        node(
          `const { spawn } = require("node:child_process")
           const daemon = spawn("sleep", ["300"], { detached: true, stdio: "inherit" })
           require("node:fs").writeFileSync(process.env.PIDS, String(daemon.pid))
           console.log("answer")
           process.exit(0)`,
          { env: { ...PATH(), PIDS: daemon.path }, timeLimit: "10 seconds" }
        )
      )
      assert.strictEqual(finished.stdout.toString(), "answer\n")
      process.kill(yield* daemon.read(), "SIGKILL")
    }))

  it.live("ends the group soon after tau itself is killed with SIGKILL", () =>
    Effect.gen(function*() {
      const polite = pidFile()
      const stubborn = pidFile()
      const script = `
        sh -c 'trap "" TERM HUP; echo $$ > ${stubborn.path}; while :; do sleep 0.05; done' &
        echo $$ > ${polite.path}; exec sleep 300`
      const parent = spawn(
        process.execPath,
        [fileURLToPath(new URL("parent.mjs", import.meta.url)), JSON.stringify(sh(script))],
        { stdio: "inherit" }
      )
      const politePid = yield* polite.read()
      const stubbornPid = yield* stubborn.read()
      assert.isTrue(alive(politePid) && alive(stubbornPid))
      parent.kill("SIGKILL")
      yield* gone(politePid)
      yield* gone(stubbornPid)
    }))

  it.live("removes the folders that a killed tau had made, once their processes have ended", () =>
    Effect.gen(function*() {
      const pid = pidFile()
      const [released, first, second] = ["released", "tmp with  blanks", "tmp-second"].map((name) => {
        const folder = join(dir, name)
        mkdirSync(folder)
        writeFileSync(join(folder, "example.json"), "{}")
        return folder
      })
      const script = `trap '' TERM; echo $$ > ${pid.path}; while :; do echo x > '${first}/late'; sleep 0.05; done`
      const parent = spawn(
        process.execPath,
        [
          fileURLToPath(new URL("parent.mjs", import.meta.url)),
          JSON.stringify(sh(script)),
          released!,
          first!,
          second!
        ],
        { stdio: "inherit" }
      )
      yield* pid.read()
      parent.kill("SIGKILL")
      yield* Effect.promise(() =>
        eventually("the folders to go", () => !existsSync(first!) && !existsSync(second!) || undefined)
      )
      assert.isTrue(existsSync(join(released!, "example.json")))
    }))

  it.live("starts a new orphan guard when the old one was killed", () =>
    Effect.gen(function*() {
      yield* run(sh("true"))
      const before = guards()
      assert.lengthOf(before, 1)
      process.kill(before[0] ?? 0, "SIGKILL")
      yield* gone(before[0] ?? 0)
      const after = yield* Effect.promise(() =>
        eventually("a new guard", () => {
          Effect.runFork(run(sh("true")))
          return guards()[0]
        })
      )
      assert.notStrictEqual(after, before[0])
    }))

  it.live("says in words why a command cannot be started", () =>
    Effect.gen(function*() {
      const path = (name: string, text: string, mode: number) => {
        writeFileSync(join(dir, name), text)
        chmodSync(join(dir, name), mode)
      }
      path("plain.sh", "#!/bin/sh\n", 0o644)
      path("lost.py", "#!/no/such/python\n", 0o755)
      assert.match(yield* detail(command(["no-such-agent"])), /command not found: no-such-agent/)
      assert.match(yield* detail(command(["./no-such-agent"])), /does not exist \(looked for in /)
      assert.match(yield* detail(command(["./plain.sh"])), /lacks the permission to execute/)
      assert.match(yield* detail(command(["./lost.py"])), /interpreter/)
      assert.match(
        yield* detail(sh("true", { cwd: join(dir, "nowhere") })),
        /working directory .*nowhere does not exist/
      )
      assert.match(yield* detail(sh("true", { cwd: join(dir, "plain.sh") })), /is not a directory/)
      assert.match(yield* detail(command(["/bin/echo", "a\0b"])), /NUL/)
      assert.match(yield* detail(sh("true", { env: { LONG: "x".repeat(4_000_000) } })), /too long/)
    }))

  it.live("finds a relative command from its working directory", () =>
    Effect.gen(function*() {
      writeFileSync(join(dir, "agent.sh"), "#!/bin/sh\npwd\n")
      chmodSync(join(dir, "agent.sh"), 0o755)
      const finished = yield* run(command(["./agent.sh"]))
      assert.isTrue(finished.stdout.toString().trim().endsWith(dir))
    }))
})

const PATH = () => ({ PATH: process.env.PATH ?? "" })
