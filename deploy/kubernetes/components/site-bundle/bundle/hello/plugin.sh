#!/usr/bin/env bash
set -euo pipefail
rune_init
rune_ok_kv '' "greeting=Hello, $(rune_param name)"
