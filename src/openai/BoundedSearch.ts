/** Where a pattern that somebody wrote first matches a text, searched for with a limit on time. Loads no Effect. */
import { createContext, Script } from "node:vm"
import { type Pattern, searchMsMax, SearchTimedOut } from "./BoundedPatterns.js"

// The engine checks for termination whenever it backtracks, so the limit holds for patterns such as `^(a+)+$`.
const script = new Script("match = pattern.exec(text)")

/** Finds one pattern in one text after another. The constructor throws where it is no regular expression. */
export class BoundedSearch {
  private readonly context: { readonly pattern: RegExp; text: string; match: RegExpExecArray | null }

  /** Matches whole characters, whether or not the flags ask for it. */
  constructor({ flags, source }: Pattern) {
    this.context = { pattern: new RegExp(source, flags.includes("u") ? flags : `${flags}u`), text: "", match: null }
    createContext(this.context)
  }

  /** From and to, in UTF-16 units; null when nothing matches, or nothing but the empty text. Throws `SearchTimedOut`. */
  first(text: string): readonly [from: number, to: number] | null {
    this.context.text = text
    try {
      script.runInContext(this.context, { timeout: searchMsMax })
      const { match } = this.context
      return match === null || match[0] === "" ? null : [match.index, match.index + match[0].length]
    } catch (error) {
      throw new SearchTimedOut("the search for a pattern took too long", { cause: error })
    } finally {
      this.context.text = ""
      this.context.match = null
    }
  }
}
