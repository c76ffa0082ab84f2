/**
 * Ends the process groups that a killed tau leaves behind, and removes the folders that it had made for them.
 *
 * A process that dies by `kill -9` cannot clean up, so one small `/bin/sh` per tau process does it: it reads the groups and
 * folders to watch from a pipe whose only other end is tau's. When the pipe closes, however tau ended, it sends SIGTERM to the
 * groups still listed, SIGKILL two seconds later, and then removes the folders. It costs nothing per child but a write of a few bytes (no wrapper process, no
 * change to exit codes or to the child's own tree) and works the same on Linux and macOS. It sits in a session of its own,
 * so a Ctrl-C or a kill of tau's group does not take it along. Where there is no `/bin/sh`, children simply go unguarded.
 */
import { spawn } from "node:child_process"
import type { Socket } from "node:net"

const script = `
trap '' HUP INT TERM
live=
while read -r sign name; do
  case $sign in
    +) live="$live $name" ;;
    -) rest=
       for other in $live; do [ "$other" = "$name" ] || rest="$rest $other"; done
       live=$rest ;;
    made) set -- "$@" "$name" ;;
    removed) for other do
         shift
         [ "$other" = "$name" ] || set -- "$@" "$other"
       done ;;
  esac
done
if [ -n "$live" ]; then
  for group in $live; do kill -TERM "-$group"; done 2>/dev/null
  sleep 2
  for group in $live; do kill -KILL "-$group"; done 2>/dev/null
fi
[ $# -eq 0 ] || rm -rf -- "$@"
`

const live = new Set<number>()
const folders = new Set<string>()
let pipe: Socket | undefined

const start = (): Socket | undefined => {
  const guard = spawn("/bin/sh", ["-c", script, "tau-orphan-guard"], {
    cwd: "/",
    detached: true,
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "ignore", "ignore"]
  })
  const forget = () => {
    if (pipe === guard.stdin) pipe = undefined
  }
  guard.once("error", forget)
  guard.once("exit", forget)
  // Neither the guard nor its pipe keeps tau running.
  guard.unref()
  const stdin = guard.stdin as Socket | undefined
  stdin?.on("error", forget)
  stdin?.unref()
  for (const group of live) stdin?.write(`+ ${group}\n`)
  for (const folder of folders) stdin?.write(`made ${folder}\n`)
  return stdin
}

/** From now on the group is ended should this process die. The guard starts with the first group, again if it was killed. */
export const watch = (group: number): void => {
  if (pipe === undefined) pipe = start()
  live.add(group)
  pipe?.write(`+ ${group}\n`)
}

/** From now on the folder is removed should this process die. One that a line cannot name stays behind. */
export const watchFolder = (folder: string): void => {
  if (folder.includes("\n")) return
  if (pipe === undefined) pipe = start()
  folders.add(folder)
  pipe?.write(`made ${folder}\n`)
}

/** The folder is gone, or somebody else's to remove. */
export const releaseFolder = (folder: string): void => {
  if (folders.delete(folder)) pipe?.write(`removed ${folder}\n`)
}

/** The group is gone, and its number may soon be another's. */
export const release = (group: number): void => {
  if (live.delete(group)) pipe?.write(`- ${group}\n`)
}
