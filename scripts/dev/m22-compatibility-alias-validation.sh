#!/usr/bin/env bash
# Evidence that the old flag names still work: runs the built command with each of them and writes what it saw.
exec node "$(dirname "${BASH_SOURCE[0]}")/m22-compatibility-alias-validation.mjs" "$@"
