import Database from "better-sqlite3"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually, startProxy } from "../support/processes.js"

/** Appends a byte to the file `SYNCS` for each time that a write-ahead log is forced to the disk. */
const shim = `
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void note(int fd) {
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, name, sizeof name);
  if (length < 4 || memcmp(name + length - 4, "-wal", 4) != 0) return;
  int file = open(getenv("SYNCS"), O_WRONLY | O_APPEND);
  if (file < 0 || write(file, "x", 1) != 1) abort();
  close(file);
}
extern "C" int fsync(int fd) { note(fd); return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd); }
extern "C" int fdatasync(int fd) { note(fd); return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd); }
`

describe("what may be lost with the power", () => {
  const folder = mkdtempSync(join(tmpdir(), "tau-power-"))
  const syncsPath = join(folder, "syncs")
  const syncs = () => readFileSync(syncsPath).length
  const held: Array<ServerResponse> = []
  const upstream = createServer((request, response) => {
    request.resume().on("end", () => held.push(response))
  })
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
    const { child, origin } = await startProxy(folder, `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`, {
      LD_PRELOAD: join(folder, "shim.so"),
      SYNCS: syncsPath
    })
    try {
      const store = new Database(join(folder, ".tau/training/store.sqlite"), { readonly: true })
      const open = () => store.prepare("SELECT count(*) FROM spans WHERE state = 'open'").pluck().get()
      const answers: Array<Promise<string>> = []
      // One at a time: those that came together would share a commit, and its fsync.
      const beforeCalls = syncs()
      for (let n = 1; n <= calls; n++) {
        answers.push(fetch(`${origin}/v1/models`).then((answer) => answer.text()))
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
})
