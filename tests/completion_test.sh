#!/usr/bin/env bash
# The bash completion, held against a command whose --help is known.   usage: completion_test.sh tercel.bash
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/tercel" <<'HELP'
#!/bin/sh
case "$1" in
  ask) printf 'Usage: tercel ask\nOptions:\n  --document TEXT  a file\n  --top-k INT  answers\n' ;;
  *) printf 'Usage: tercel\nOptions:\n  --version\nSubcommands:\n  ask    answers\n  classify  labels\n' ;;
esac
HELP
chmod +x "$folder/tercel"
source "$1"

expect() {  # expect <words …> -- <reply …>
  local words=() reply
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  COMP_WORDS=("$folder/tercel" "${words[@]}") COMP_CWORD=${#words[@]}
  _tercel
  reply="${COMPREPLY[*]-}"
  [ "$reply" = "$*" ] || { echo "completing '${words[*]}': expected '$*', got '$reply'" >&2; exit 1; }
}

expect '' -- ask classify
expect cl -- classify
expect --v -- --version
expect ask --t -- --top-k
expect ask --dtype b -- bf16
expect predict --task e -- embedding
expect predict --format c -- csv
cd "$folder"
expect ask --document ter -- tercel
echo "completion: 8 cases"
