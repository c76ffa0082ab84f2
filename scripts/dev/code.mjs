// Preloaded into a run of the built command: when a thread ends, what V8 compiled of its file goes beside the file.
import { renameSync, writeFileSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import vm from "node:vm"
import { codeFileOf, withChecksum } from "../../dist/process/CompiledCode.js"

vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options)
    const filename = options?.filename
    if (!filename?.endsWith(".cjs")) return
    process.on("exit", () => {
      const part = `${filename}.${process.pid}`
      writeFileSync(part, withChecksum(this.createCachedData()))
      renameSync(part, codeFileOf(filename))
    })
  }
}
syncBuiltinESMExports()
