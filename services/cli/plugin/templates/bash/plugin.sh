#!/usr/bin/env bash
# Greets somebody. Needs bash 4.2 or newer and nothing else on the node.
set -euo pipefail

# The functions of the shell library are there already: docs/plugins.md of RUNE describes them all.
rune_init

name=$(rune_param name)
greeting="Hello, $name"

if [[ $name == nobody ]]; then
  rune_error_kv 3 'There is nobody to greet' "name=$name"
fi

# What changes the node stands below this line: a dry run ends here.
if rune_dry_run; then
  rune_ok_kv '' "greeting=$greeting"
fi

rune_log info "greeting $name"
rune_progress 50 'half of the work is done'
rune_ok_kv '' "greeting=$greeting"
