# shellcheck shell=bash
# shellcheck disable=SC2034 # those who come after it read what it sets
# What most actions begin with: the tools and whole numbers they need, and text taken apart line by line.

lines=()

# need TOOL…: ends the plugin when one of them is missing.
need() {
  local tool
  for tool; do
    if ! type -P "$tool" >/dev/null; then rune_error_kv 2 "$tool is missing on this node" "missing=$tool"; fi
  done
}

# integer VAR KEY DEFAULT MIN MAX: a parameter that is safe in arithmetic.
integer() {
  local value
  rune_param -v value "$2" "$3"
  if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < $4 || 10#$value > $5)); then
    rune_error_kv 1 "$2 must be a whole number from $4 to $5" "field=$2"
  fi
  printf -v "$1" %d $((10#$value))
}

# split_lines TEXT: into the array lines. Here-strings and process substitution need files or /dev/fd, which a node may lack.
split_lines() {
  local IFS=$'\n'
  set -f
  # shellcheck disable=SC2206
  lines=($1)
  set +f
}
