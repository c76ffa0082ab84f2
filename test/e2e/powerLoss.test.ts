import Database from "better-sqlite3"
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually, startProxy } from "../support/processes.js"

/**
 * Appends a byte to the file `SYNCS` for each time that a write-ahead log is forced to the disk. With `SYNCS.keeps` that takes 10 ms, and
 * what is on the disk then is in `SYNCS.disk`; with `SYNCS.fails` it fails.
 */
const shim = `
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char *beside(const char *ending) {
  static thread_local char name[4096];
  snprintf(name, sizeof name, "%s.%s", getenv("SYNCS"), ending);
  return name;
}
static bool keep(const char *log) {
  int from = open(log, O_RDONLY), to = open(beside("next"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (from < 0 || to < 0) return false;
  char bytes[65536];
  for (ssize_t length; (length = read(from, bytes, sizeof bytes)) > 0;) if (write(to, bytes, length) != length) return false;
  close(from);
  close(to);
  return true;
}
static int flush(int fd, const char *call) {
  int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, call);
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, name, sizeof name - 1);
  if (length < 4 || memcmp(name + length - 4, "-wal", 4) != 0) return real(fd);
  name[length] = 0;
  int file = open(getenv("SYNCS"), O_WRONLY | O_APPEND);
  if (file < 0 || write(file, "x", 1) != 1) abort();
  close(file);
  if (access(beside("fails"), F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  bool keeps = access(beside("keeps"), F_OK) == 0;
  if (keeps && !keep(name)) abort();
  if (keeps) usleep(10000);
  int result = real(fd);
  if (keeps) {
    char next[4096];
    strcpy(next, beside("next"));
    rename(next, beside("disk"));
  }
  return result;
}
extern "C" int fsync(int fd) { return flush(fd, "fsync"); }
extern "C" int fdatasync(int fd) { return flush(fd, "fdatasync"); }
`

describe("what may be lost with the power", () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-power-"))
  const syncsPath = join(folder, "syncs")
  const syncs = () => readFileSync(syncsPath).length
  const held: Array<ServerResponse> = []
  const upstream = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.url === "/v1/held") held.push(response)
      else response.end("{}")
    })
  })
  const upstreamUrl = () => `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const start = (name: string) => {
    mkdirSync(join(folder, name))
    return startProxy(join(folder, name), upstreamUrl(), { LD_PRELOAD: join(folder, "shim.so"), SYNCS: syncsPath })
  }
  const storeOf = (name: string) => join(folder, name, ".tau/training/store.sqlite")
  const calls = 20

  beforeAll(async () => {
    writeFileSync(join(folder, "shim.cpp"), shim)
    execFileSync("g++", ["-shared", "-fPIC", "-o", join(folder, "shim.so"), join(folder, "shim.cpp"), "-ldl"])
    writeFileSync(syncsPath, "")
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve))
  })
  afterAll(() => {
    upstream.close()
    upstream.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })

  it("is nothing of an answer that has left: each is on the disk before; a call under way is written, and not waited for", async () => {
    const { child, origin } = await start("one")
    try {
      const store = new Database(storeOf("one"), { readonly: true })
      const open = () => store.prepare("SELECT count(*) FROM spans WHERE state = 'open'").pluck().get()
      const answers: Array<Promise<string>> = []
      // One at a time: those that came together would share a commit, and its fsync.
      const beforeCalls = syncs()
      for (let n = 1; n <= calls; n++) {
        answers.push(fetch(`${origin}/v1/held`).then((answer) => answer.text()))
        await eventually(`the intent of call ${n}`, () => open() === n)
      }
      const ofIntents = syncs() - beforeCalls
      const beforeAnswers = syncs()
      await eventually("the upstream has all", () => held.length === calls)
      for (const [n, answer] of answers.entries()) {
        held[n]!.end(`{"n":${n}}`)
        await answer
        assert.isAtLeast(syncs() - beforeAnswers, n + 1)
      }
      store.close()
      // The process says now and then that it lives, and that is forced to the disk as well.
      assert.isBelow(ofIntents, calls / 2)
    } finally {
      child.kill("SIGKILL")
    }
  })

  it("is nothing of answers that leave together", async () => {
    const { child, origin } = await start("many")
    try {
      writeFileSync(`${syncsPath}.keeps`, "")
      for (let round = 0; round < 6; round++) {
        const answered: Array<string> = []
        const asked = Promise.allSettled(
          manyOf(`round-${round}`).map(async (rolloutId) => {
            await ask(origin, rolloutId)
            answered.push(rolloutId)
          })
        )
        await eventually("some are answered", () => answered.length > 7 * round)
        child.kill("SIGSTOP")
        await eventually("it stands still", () => stateOf(child.pid!) === "T")
        for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
        const kept = afterPowerLoss(storeOf("many"))
        assert.deepStrictEqual(answered.filter((rolloutId) => !kept.includes(rolloutId)), [])
        child.kill("SIGCONT")
        await asked
      }
    } finally {
      rmSync(`${syncsPath}.keeps`, { force: true })
      child.kill("SIGKILL")
    }
  })

  /** The calls that the store has after a crash of the machine, by their rollouts: of its log there is what was flushed. */
  const afterPowerLoss = (path: string): ReadonlyArray<string> => {
    const copy = join(folder, "copy.sqlite")
    rmSync(`${copy}-shm`, { force: true })
    copyFileSync(path, copy)
    copyFileSync(`${syncsPath}.disk`, `${copy}-wal`)
    return done(copy)
  }

  it("is nothing while the disk fails: nobody is answered until it can be written again", async () => {
    const { child, origin } = await start("failing")
    const all = (name: string) => Promise.all(manyOf(name).map((one) => ask(origin, one).catch(() => "broken off")))
    try {
      for (let round = 0; round < 5; round++) await all(`before-${round}`)
      writeFileSync(`${syncsPath}.fails`, "")
      const during = await all("during")
      assert.include(during, "broken off")
      assert.notInclude(during, 200)
      rmSync(`${syncsPath}.fails`)
      const deadline = performance.now() + 10_000
      while (await ask(origin, "again") !== 200) assert.isBelow(performance.now(), deadline)
      assert.deepStrictEqual(await all("after"), Array(64).fill(200))
      const kept = done(storeOf("failing"))
      assert.deepStrictEqual(manyOf("after").filter((rolloutId) => !kept.includes(rolloutId)), [])
    } finally {
      rmSync(`${syncsPath}.fails`, { force: true })
      child.kill("SIGKILL")
    }
  })
})

const manyOf = (name: string) => Array.from({ length: 64 }, (_, n) => `${name}-${n}`)

/** Makes a call, and answers its status once all of its answer is there. */
const ask = async (origin: string, rolloutId: string) => {
  const answer = await fetch(`${origin}/v1/models`, {
    headers: { "x-rollout-id": rolloutId, "x-attempt-id": `${rolloutId}:attempt-1` }
  })
  await answer.text()
  return answer.status
}

/** The rollouts of the calls that are done. */
const done = (path: string): ReadonlyArray<string> => {
  const store = new Database(path)
  try {
    return store.prepare("SELECT rollout_id FROM spans WHERE state = 'done'").pluck().all() as ReadonlyArray<string>
  } finally {
    store.close()
  }
}

const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]![0]
