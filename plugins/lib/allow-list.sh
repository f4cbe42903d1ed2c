# shellcheck shell=bash
# What the actions have in common that touch files of an allow-list, which the operator gives in their configuration.

# Entries of one list.
entries_max=64

# is_plain PATH: whether it is absolute, without control characters and without parts that lead elsewhere.
is_plain() {
  [[ $1 == /* && $1 != *[[:cntrl:]]* && $1 != *//* && $1/ != */../* && $1/ != */./* ]]
}

# regex_of VAR PATTERN: a regular expression for paths. * and ? stay within a name, ** does not.
regex_of() {
  local rest=$2 made='' set
  while [[ -n $rest ]]; do
    case $rest in
      '**/'*) made+='(.*/)?' rest=${rest:3} ;;
      '**'*) made+='.*' rest=${rest:2} ;;
      '*'*) made+='[^/]*' rest=${rest:1} ;;
      '?'*) made+='[^/]' rest=${rest:1} ;;
      '['*)
        set=${rest%%']'*}']'
        made+=$set rest=${rest:${#set}}
        ;;
      '^'*) made+='\^' rest=${rest:1} ;;
      *) made+="[${rest:0:1}]" rest=${rest:1} ;;
    esac
  done
  printf -v "$1" %s "$made"
}

# read_patterns ARRAY KEY: the paths or patterns under this key of the configuration; the action ends where one is not usable.
read_patterns() {
  local configuration list='' entry patterns=()
  local pattern='^/([^][\]|\[[0-9A-Za-z-]+\])*$'
  rune_ctx_json -v configuration configuration
  if ! rune_json_get list "$configuration" "$2" || ! rune_json_items patterns "$list" || ((${#patterns[@]} == 0)); then
    rune_error_kv 4 "The configuration of this action has no $2" "field=$2"
  fi
  if ((${#patterns[@]} > entries_max)); then
    rune_error_kv 4 "The configuration of this action has more than $entries_max $2" "field=$2"
  fi
  for entry in ${patterns[@]+"${patterns[@]}"}; do
    if ! is_plain "$entry" || [[ $entry == */ || ! $entry =~ $pattern ]]; then
      rune_error_kv 4 "$2 of the configuration holds a path that cannot be used: $entry" "field=$2" "path=$entry"
    fi
  done
  eval "$1=(\${patterns[@]+\"\${patterns[@]}\"})"
}

# json_moment VAR SECONDS: a time as JSON text; null for one before 1970 or after the year 9999, which anybody may give their own files.
json_moment() {
  if [[ $2 == -* ]] || (($2 > 253402300799)); then
    printf -v "$1" null
  else
    printf -v "$1" '"%(%Y-%m-%dT%H:%M:%SZ)T"' "$2"
  fi
}
