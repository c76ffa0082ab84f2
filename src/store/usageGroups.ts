/** What recorded calls can be grouped by. Loads no Effect. */
export const usageGroups = ["model", "day", "session", "role", "run", "key"] as const
export type UsageGroup = typeof usageGroups[number]
