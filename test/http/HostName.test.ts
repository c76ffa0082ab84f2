import { assert, describe, it } from "@effect/vitest"
import { hostName, isLoopback, isLoopbackName, isReachedAs, isSame, reachable } from "../../src/http/HostName.js"

describe("The name in a Host header", () => {
  it.each<readonly [host: string, name: string | null]>([
    ["localhost", "localhost"],
    ["LocalHost:8788", "localhost"],
    ["127.0.0.1:65535", "127.0.0.1"],
    ["my-host.example.:80", "my-host.example"],
    ["[::1]:8788", "::1"],
    ["[::FFFF:127.0.0.1]", "127.0.0.1"],
    ["", null],
    [":80", null],
    ["::1", null],
    ["localhost:", null],
    ["localhost:123456", null],
    ["localhost:80:80", null],
    ["localhost:port", null],
    ["localhost/", null],
    ["local host", null],
    ["localhost\\", null],
    ["user@localhost", null],
    ["localhost?", null],
    ["localhost#", null],
    ["[localhost]", null],
    ["[::1", null],
    ["::1]", null],
    ["evil.example\nlocalhost", null],
    ["x[::1]", null],
    ["x[y", null],
    ["[::ffff:7f00:1]", "::ffff:7f00:1"]
  ])("of %j is %j", (host, name) => {
    assert.strictEqual(hostName(host), name)
  })
})

describe("A name of this machine", () => {
  it("is localhost, what is under it, and the loopback addresses", () => {
    for (const name of ["localhost", "tau.localhost", "::1", "127.0.0.1", "127.1.2.3"]) {
      assert.isTrue(isLoopbackName(name), name)
    }
    for (
      const name of [
        "notlocalhost",
        "localhost.example",
        "127.0.0.1.example",
        "x127.0.0.1",
        "127.0.0",
        "127.0.0.1234",
        "1127.0.0.1",
        "::2",
        "0.0.0.0",
        "10.0.0.1",
        ""
      ]
    ) assert.isFalse(isLoopbackName(name), name)
  })

  it("is all that a server listens on that only this machine can reach", () => {
    for (const host of ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1"]) {
      assert.isTrue(isLoopback(host), host)
    }
    for (const host of ["0.0.0.0", "::", "192.168.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1.example", "example.com"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })
})

describe("A server on this machine", () => {
  it("is reached under its own name, and under any name of the machine when it listens there or everywhere", () => {
    const reached = [["127.0.0.1", "localhost"], ["0.0.0.0", "127.0.0.1"], ["::", "[::1]"], ["127.0.0.1", "0.0.0.0"]]
    for (const [bound, name] of [...reached, ["Tau.example", "tau.example."]]) {
      assert.isTrue(isReachedAs(bound!, name!), `${bound} ${name}`)
    }
    const others = [["127.0.0.1", "example.com"], ["192.168.0.1", "localhost"], ["0.0.0.0", "192.168.0.1"]]
    for (const [bound, name] of others) assert.isFalse(isReachedAs(bound!, name!), `${bound} ${name}`)
  })

  it("is told under an address that can be called, where it listens on every one", () => {
    assert.strictEqual(reachable("http://0.0.0.0:8788"), "http://127.0.0.1:8788")
    assert.strictEqual(reachable("http://[::]:8788"), "http://[::1]:8788")
    for (const origin of ["http://10.0.0.0:8788", "http://[::2]:8788"]) assert.strictEqual(reachable(origin), origin)
  })
})

describe("The origin of a web page", () => {
  it("is that of the server only when host and port are the same", () => {
    for (const origin of ["http://localhost:8788", "HTTPS://LocalHost:8788"]) {
      assert.isTrue(isSame(origin, "localHost:8788"), origin)
    }
    for (
      const origin of [
        "http://localhost:8789",
        "http://localhost",
        "http://evil.example",
        "null",
        "http://localhost:8788.evil.example",
        "http://evil.example/http://localhost:8788",
        "ftp://localhost:8788"
      ]
    ) assert.isFalse(isSame(origin, "localhost:8788"), origin)
  })
})
