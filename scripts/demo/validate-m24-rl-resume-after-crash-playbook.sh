#!/usr/bin/env bash
# Checks the artifact of a resume-after-crash drill: 0 and an "ok - ..." line, 1 and the field that is wrong, 2 when it cannot be checked.
tau="$(dirname "${BASH_SOURCE[0]}")/../../dist/cli/main.js"
if [[ ! -f "$tau" ]]; then
  echo "error: tau is not built: run npm ci" >&2
  exit 2
fi
exec node "$tau" validate playbook -- "$@"
