import { defineCommand } from "../Command.js"
import { path } from "../flags.js"
import { readBind, readPath } from "../FlagValue.js"
import { readHosts } from "../ProxyFlags.js"
import { json, rbacPolicy, readStorePath } from "../ReadingFlags.js"

export const dashboard = defineCommand({
  name: "dashboard",
  summary: "Serve the dashboard's API over a store: health, alerts, rows, pause and resume",
  description:
    "tau dashboard serves how a store's runs stand, as JSON and as a live stream, until SIGINT or SIGTERM. The store is "
    + "opened read-only and need not be there yet; actions go the way of the control verbs. Off loopback it needs "
    + "TAU_DASHBOARD_TOKEN, which callers then show as a bearer token.",
  examples: ["tau dashboard", "tau dashboard --store .tau/training/store.sqlite --bind 127.0.0.1:8787"],
  untilStopped: true,
  flags: [
    {
      name: "store",
      value: path,
      placeholder: "FILE",
      variable: "TAU_STORE",
      description: "The store; the control files are looked for beside it"
    },
    {
      name: "state-dir",
      value: path,
      placeholder: "DIR",
      default: ".tau/training",
      description: "Folder of store.sqlite and of the control files"
    },
    rbacPolicy,
    {
      name: "bind",
      value: { kind: "bind" },
      placeholder: "HOST:PORT",
      default: "127.0.0.1:8787",
      description: "Where it listens; port 0 picks a free one"
    },
    {
      name: "allowed-hosts",
      value: { kind: "text" },
      placeholder: "NAME,...",
      description: "Further host names under which callers may ask, e.g. tau.example.org"
    },
    { ...json, description: "Print where it listens as one JSON object" }
  ],
  read: ({ flags }) => ({
    storePath: readStorePath(flags),
    rbacPolicyPath: readPath(flags.get("rbac-policy")),
    bind: readBind(flags.get("bind")),
    allowedHosts: readHosts(flags.find("allowed-hosts")),
    json: flags.isOn("json")
  }),
  load: () => import("../DashboardCommand.js")
})
