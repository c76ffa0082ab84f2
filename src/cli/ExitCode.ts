/** What the process says when it ends. */
export const ExitCode = {
  success: 0,
  /** The command was understood and could not be carried out. */
  failure: 1,
  /** A mistake in the command line or the config; nothing was written. */
  usage: 2
} as const
