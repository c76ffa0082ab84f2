// Preloaded into a run of the built command: when a thread ends, what V8 compiled of its file goes beside the file, with its checksum, as
// src/process/CompiledCode.ts reads it.
const { renameSync, writeFileSync } = require("node:fs")
const { syncBuiltinESMExports } = require("node:module")
const vm = require("node:vm")
const { crc32 } = require("node:zlib")

vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options)
    const filename = options?.filename
    if (!filename?.endsWith(".cjs")) return
    process.on("exit", () => {
      const code = this.createCachedData()
      const sum = Buffer.alloc(4)
      sum.writeUInt32LE(crc32(code))
      const part = `${filename}.${process.pid}`
      writeFileSync(part, Buffer.concat([code, sum]))
      renameSync(part, `${filename}.${process.version}-${process.platform}-${process.arch}.code`)
    })
  }
}
syncBuiltinESMExports()
