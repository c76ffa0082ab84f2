import { userInfo } from "node:os"

/** Who asks when nobody else is named: `local:<user>`. The system may not know the user, in a container for instance. */
export const localPrincipal = (): string => {
  try {
    return `local:${userInfo().username}`
  } catch {
    return "local:unknown"
  }
}
