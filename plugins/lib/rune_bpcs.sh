# shellcheck shell=bash
# The RUNE plugin library: reads the input document, writes the answer. Bash 4.2 or newer and nothing else.
# docs/plugins.md describes every function.
#
# Its text is sent with every run, and parsing it costs more than running it. So it has two parts. What most runs need comes first.
# The rest, behind the line ": rest", reaches a plugin on a node as text in __rune_rest, which is parsed when something of it
# is first called. Whoever sources this file has all of it at once.

if [[ -z ${__rune_state-} ]]; then
  __rune_state=new # then ready, answered
  declare -gA __rune_raw __rune_kind __rune_section
  # Set when the input was read the short way.
  __rune_short=
  __rune_exit_commands=()
  __rune_dry=
  __rune_metadata='{"version":"1.0"}'
  __rune_observability='{}'
  __rune_input_bytes_max=8388608
  __rune_event_bytes_max=16384
  __rune_safe_char='[! abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:;=+*/@%#&|<>(){}?~^$!-]'
  # Anything but printable ASCII, and the backslash.
  __rune_unusual='[^] -[^-~]'
fi

# Parses the rest, if that has not been done. It takes the place of the stand-ins.
__rune_more() {
  [[ -n ${__rune_rest-} ]] || return 0
  local LC_ALL=C
  eval "unset __rune_rest;$__rune_rest"
}

# shellcheck disable=SC2317 # defined again below
{
rune_all_params() { __rune_more && rune_all_params "$@"; }
rune_all_ctx() { __rune_more && rune_all_ctx "$@"; }
rune_param_json() { __rune_more && rune_param_json "$@"; }
rune_ctx_json() { __rune_more && rune_ctx_json "$@"; }
rune_param_list() { __rune_more && rune_param_list "$@"; }
rune_json_get() { __rune_more && rune_json_get "$@"; }
rune_json_items() { __rune_more && rune_json_items "$@"; }
rune_json_keys() { __rune_more && rune_json_keys "$@"; }
rune_json_string() { __rune_more && rune_json_string "$@"; }
rune_json_object() { __rune_more && rune_json_object "$@"; }
rune_json_array() { __rune_more && rune_json_array "$@"; }
rune_ok() { __rune_more && rune_ok "$@"; }
rune_error() { __rune_more && rune_error "$@"; }
rune_error_kv() { __rune_more && rune_error_kv "$@"; }
rune_fail() { __rune_more && rune_fail "$@"; }
rune_fail_kv() { __rune_more && rune_fail_kv "$@"; }
rune_out() { __rune_more && rune_out "$@"; }
rune_err() { __rune_more && rune_err "$@"; }
rune_finish() { __rune_more && rune_finish "$@"; }
rune_emit() { __rune_more && rune_emit "$@"; }
rune_progress() { __rune_more && rune_progress "$@"; }
}

rune_init() {
  local __rune_s __rune_bad=''
  [[ $__rune_state == new ]] || return 0
  __rune_state=ready
  __rune_pid=$BASHPID
  trap '__rune_at_exit "$?"' EXIT
  if ! __rune_load; then
    __rune_raw=()
    __rune_kind=()
    __rune_section=()
    rune_error 1 "Invalid input: $__rune_bad"
  fi
  if [[ -z $__rune_short ]]; then __rune_keep_sections; fi
  # Names that plugins for the jq-based library use.
  # shellcheck disable=SC2034
  {
    RUNE_MESSAGE_METADATA=$__rune_metadata
    RUNE_OBSERVABILITY=$__rune_observability
  }
}

__rune_load() {
  local LC_ALL=C __rune_c='' __rune_count=-N __rune_all=''
  __rune_s=''
  # Only -N, and only in the C locale, reads blocks from a pipe. Before 4.4 it does not either, and takes the byte 255
  # for an end: there a fork costs less than a system call for each byte, where /dev/stdin can be opened.
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    __rune_count=-n
    { __rune_s=$(</dev/stdin); } 2>/dev/null || :
    __rune_all=$__rune_s
  fi
  while [[ -z $__rune_all ]] && IFS= read -r -d '' "$__rune_count" 65536 __rune_c; do
    __rune_s+=$__rune_c
    __rune_c=''
    if ((${#__rune_s} > __rune_input_bytes_max)); then break; fi
  done
  __rune_s+=$__rune_c
  if ((${#__rune_s} > __rune_input_bytes_max)); then
    __rune_bad="more than $__rune_input_bytes_max bytes"
    return 1
  fi
  # shellcheck disable=SC2034
  RUNE_INPUT_JSON=$__rune_s
  __rune_read_input
}

# Reads the document in __rune_s; fails with the reason in __rune_bad. Needs the C locale.
__rune_read_input() {
  if __rune_noglob __rune_skim_short; then return 0; fi
  __rune_more
  __rune_read_any
}

__rune_noglob() {
  local __rune_status=0
  if [[ $- == *f* ]]; then
    "$@"
  else
    set -f
    "$@" || __rune_status=1
    set +f
    return "$__rune_status"
  fi
}

# Reads the document in __rune_s if it is short, printable ASCII without escapes, and laid out as mediators do it; fails
# otherwise. It is taken apart from its end, since that is where bash finds a pattern soonest, and put together again to see
# that this was right. Needs the C locale and noglob.
__rune_skim_short() {
  local __rune_m __rune_p __rune_c __rune_o __rune_x
  __rune_short=''
  if ((${#__rune_s} > 4096)) || [[ $__rune_s =~ $__rune_unusual ]]; then return 1; fi
  __rune_m=${__rune_s:20}
  __rune_m=${__rune_m%%\}*}\}
  __rune_x=${__rune_s%\},\"observability\":\{*}
  __rune_o=${__rune_s:${#__rune_x}+18}
  __rune_o=${__rune_o%?}
  __rune_x=${__rune_x:${#__rune_m}+51}
  __rune_p=${__rune_x%,\"context\":\{*}
  __rune_c=${__rune_x:${#__rune_p}+11}
  __rune_x="{\"message_metadata\":$__rune_m,\"payload\":{\"input_parameters\":$__rune_p,\"context\":$__rune_c},\"observability\":$__rune_o}"
  if [ "$__rune_s" != "$__rune_x" ] || [ "${__rune_p:0:1}" != '{' ]; then return 1; fi
  __rune_reduce_short "$__rune_m;$__rune_o;$__rune_c;$__rune_p" || return 1
  __rune_short=1
  __rune_doc=$__rune_s
  __rune_metadata=$__rune_m
  __rune_observability=$__rune_o
  __rune_raw[r:message_metadata]=$__rune_m
  __rune_raw[r:observability]=$__rune_o
  __rune_raw[y:input_parameters]=$__rune_p
  __rune_raw[y:context]=$__rune_c
  for __rune_x in r:message_metadata r:observability y:input_parameters y:context; do __rune_kind[$__rune_x]=t; done
  __rune_section=([m]=qm [o]=qo [y]=y [c]=qc [p]=qp)
}

# Whether the four texts that $1 joins by semicolons are JSON objects without blanks between the words. Says no to some that
# are. In their outline, in which a string is one quote, () stands for a value and <> for members of an object.
__rune_reduce_short() {
  local IFS='"' __rune_s __rune_x=''
  # shellcheck disable=SC2089
  printf -v __rune_s '%s".' "$1"
  # shellcheck disable=SC2086,SC2090
  printf -v __rune_s '%s"%.0s' $__rune_s
  __rune_s=${__rune_s%\"}
  case $__rune_s in
    *[\(\)\<\>]* | *[,:[]0[0-9]*) return 1 ;;
    *[0-9]*)
      __rune_s=${__rune_s//[1-9]/0}
      while [[ $__rune_s == *00* ]]; do __rune_s=${__rune_s//00/0}; done
      __rune_s=${__rune_s//:0/:()}
      ;;
  esac
  __rune_s=${__rune_s//:\"/:()}
  __rune_s=${__rune_s//:false/:()}
  __rune_s=${__rune_s//:true/:()}
  __rune_s=${__rune_s//\{\}/()}
  if [[ $__rune_s == *\[* ]]; then
    __rune_s=${__rune_s//\",/(),}
    __rune_s=${__rune_s//\"]/()]}
    __rune_s=${__rune_s//\[]/()}
  fi
  while [[ $__rune_s != "$__rune_x" ]]; do
    __rune_x=$__rune_s
    # A value that belongs to a key before a value in a list: each belongs to one of them.
    __rune_s=${__rune_s//\":()/<>}
    __rune_s=${__rune_s//>,</}
    if [[ $__rune_s == *\[* ]]; then
      __rune_s=${__rune_s//),(/}
      __rune_s=${__rune_s//\[()]/()}
    fi
    __rune_s=${__rune_s//\{<>\}/()}
    if [ "$__rune_s" = '();();();()' ]; then return 0; fi
  done
  return 1
}

# Looks member $1 up in the section that it names, read the short way, and puts it into the tables if it is there. Fails when that
# takes more.
__rune_find_short() {
  local __rune_text __rune_head __rune_x __rune_k=${1#*:}
  case $__rune_short$1 in
    1*\"*) return 1 ;;
    1qp:*) __rune_text=${__rune_raw[y:input_parameters]} ;;
    1qc:*) __rune_text=${__rune_raw[y:context]} ;;
    1qm:*) __rune_text=$__rune_metadata ;;
    1qo:*) __rune_text=$__rune_observability ;;
    *) return 1 ;;
  esac
  # The last of equal keys counts.
  __rune_head=${__rune_text%[\{,]\""$__rune_k"\":*}
  if [ "$__rune_head" = "$__rune_text" ]; then return 0; fi
  __rune_x=${__rune_text:${#__rune_head}+${#__rune_k}+4}
  # Something nested may be before it, or around it.
  case ${__rune_head:1} in *[\{\[]*) return 1 ;; esac
  case $__rune_x in
    \"*)
      __rune_x=${__rune_x:1}
      __rune_x=${__rune_x%%\"*}
      __rune_kind[$1]=s
      ;;
    [\{\[]*) return 1 ;;
    *)
      __rune_x=${__rune_x%%[,\}]*}
      __rune_kind[$1]=j
      if [[ $__rune_x == null ]]; then __rune_kind[$1]=n; fi
      ;;
  esac
  __rune_raw[$1]=$__rune_x
}

# Sets __rune_s to the text ($2 is t) or the JSON ($2 is j) of member $1; fails when it is absent or null.
__rune_fetch() {
  if [[ $1 == q* && -z ${__rune_kind[$1]-} ]] && ! __rune_find_short "$1"; then
    __rune_more
    if ! __rune_find "$1"; then
      __rune_reread
      set -- "${__rune_section[${1:1:1}]-}:${1#*:}" "$2"
    fi
  fi
  __rune_s=${__rune_raw[$1]-}
  case ${__rune_kind[$1]-}$2 in
    st | j?) return 0 ;;
    sj) __rune_s=\"$__rune_s\" ;;
    e? | [oat]?)
      __rune_more
      __rune_unfold "$@"
      ;;
    *) return 1 ;;
  esac
}

# The readers: section $1, form $2, then [-v VAR] KEY [DEFAULT].
__rune_read() {
  local __rune_s __rune_where=$1 __rune_form=$2 __rune_var=''
  shift 2
  if [[ ${1-} == -v ]]; then
    __rune_var=$2
    shift 2
  fi
  if [[ $__rune_state == new ]]; then
    printf 'rune_bpcs.sh: call rune_init before reading the input\n' >&2
    return 4
  fi
  if __rune_fetch "${__rune_section[$__rune_where]-}:${1-}" "$__rune_form"; then
    :
  elif [[ $__rune_where == m ]] && __rune_fetch "${__rune_section[o]-}:${1-}" "$__rune_form"; then
    :
  else
    __rune_s=${2-}
  fi
  __rune_return
}

__rune_return() {
  if [[ -n $__rune_var ]]; then
    printf -v "$__rune_var" %s "$__rune_s"
  else
    printf '%s\n' "$__rune_s"
  fi
}

rune_param() { __rune_read p t "$@"; }
rune_ctx() { __rune_read c t "$@"; }
rune_meta() { __rune_read m t "$@"; }
rune_obs() { __rune_read o t "$@"; }

rune_has_param() {
  local __rune_s
  __rune_fetch "${__rune_section[p]-}:$1" j
}

rune_dry_run() {
  local __rune_s=''
  __rune_fetch "${__rune_section[c]-}:dry_run" t || :
  [[ $__rune_s == true ]] || return 1
  __rune_dry=1
}

rune_read_only() { rune_dry_run || :; }

# Sets __rune_s to text $1 as a JSON string.
__rune_quote() {
  __rune_s=$1
  # shellcheck disable=SC2254
  case $__rune_s in
    *$__rune_safe_char*)
      __rune_more
      __rune_escape
      ;;
  esac
  __rune_s=\"$__rune_s\"
}

# Sets __rune_s to the object made of KEY=TEXT and KEY:=JSON and __rune_has_message to its message; a repeated key keeps its
# last value.
__rune_object() {
  local __rune_pair __rune_k __rune_v __rune_out=''
  __rune_has_message=''
  for __rune_pair; do
    __rune_item "$__rune_pair"
    __rune_v=$__rune_s
    __rune_k=${__rune_pair%%=*}
    __rune_k=${__rune_k%:}
    __rune_quote "$__rune_k"
    case $__rune_out in
      *",$__rune_s:"*)
        __rune_more
        __rune_object_once "$@"
        return
        ;;
    esac
    __rune_out+=,$__rune_s:$__rune_v
    if [[ $__rune_k == message ]]; then __rune_has_message=$__rune_v; fi
  done
  __rune_s="{${__rune_out#,}}"
}

# Sets __rune_s to the JSON value of KEY=TEXT or KEY:=JSON.
__rune_item() {
  case $1 in
    *=*) ;;
    *) rune_error 100 "Plugin fault: \"$1\" is neither KEY=TEXT nor KEY:=JSON" ;;
  esac
  __rune_s=${1#*=}
  case ${1%%=*} in
    *:)
      case $__rune_s in
        true | false | null | 0) ;;
        '' | 0* | *[!0123456789]*)
          __rune_more
          __rune_check "$__rune_s" '' || rune_error 100 "Plugin fault: the value of \"${1%%:=*}\" is not JSON"
          ;;
      esac
      ;;
    *) __rune_quote "$__rune_s" ;;
  esac
}

rune_ok_kv() {
  local __rune_s __rune_has_message='' __rune_message=${1-}
  if (($# > 0)); then shift; fi
  __rune_object "$@"
  __rune_success "$__rune_message"
}

# Answers success with message $1 and the object in __rune_s; __rune_has_message tells that the object has its own.
__rune_success() {
  local __rune_data=$__rune_s __rune_result=success
  if [[ -n $1 && -z $__rune_has_message ]]; then
    __rune_quote "$1"
    __rune_data=${__rune_data#'{'}
    if [[ $__rune_data != *([$' \t\n\r'])'}'* ]]; then __rune_s+=,; fi
    __rune_data="{\"message\":$__rune_s$__rune_data"
  fi
  if [[ -n $__rune_dry ]]; then __rune_result=dry_run; fi
  __rune_answer "{\"result\":\"$__rune_result\",\"output_data\":$__rune_data}" null 0
}

# The one place that answers: payload $1, error $2, exit code $3.
__rune_answer() {
  __rune_state=answered
  printf '{"message_metadata":%s,"payload":%s,"observability":%s,"error":%s}\n' "$__rune_metadata" "$1" "$__rune_observability" "$2"
  exit "$3"
}

rune_log() {
  local __rune_s __rune_level=${1-}
  case $__rune_level in
    debug | info | warn | error) ;;
    warning) __rune_level=warn ;;
    *) __rune_level=info ;;
  esac
  __rune_event "{\"type\":\"log\",\"level\":\"$__rune_level\",\"message\":" "${2-}"
}

# One line on stderr that the mediator turns into an event: JSON up to the message $1, the message $2.
__rune_event() {
  local __rune_text=$2
  if ((${#__rune_text} > __rune_event_bytes_max)); then __rune_text=${__rune_text:0:__rune_event_bytes_max}; fi
  __rune_quote "$__rune_text"
  printf '\036RUNE %s%s}\n' "$1" "$__rune_s" >&2
}

rune_on_exit() { __rune_exit_commands+=("$1"); }

# The EXIT trap: a plugin that ends without an answer answers all the same; then the author's commands run.
__rune_at_exit() {
  local __rune_status=$1 __rune_i
  # A child that a signal meets before it has left the traps of its parent behind, as after "command & kill $!".
  [[ $BASHPID == "$__rune_pid" ]] || return 0
  trap - EXIT
  if [[ $__rune_state != answered ]]; then
    # In a subshell, because answering exits and the commands below must still run.
    (rune_error_kv 100 'The plugin ended without an answer' "exit_status:=$__rune_status") || :
    __rune_status=100
  fi
  for ((__rune_i = 0; __rune_i < ${#__rune_exit_commands[@]}; __rune_i++)); do
    eval "${__rune_exit_commands[__rune_i]}" || :
  done
  exit "$__rune_status"
}

: rest
# While a document is parsed, an escaped backslash stands as byte FF and an escaped quote as byte FE: neither occurs
# in UTF-8, so afterwards every quote is a delimiter and every backslash begins a one-letter or \u escape. FD marks an end.

if [[ -z ${__rune_fault+set} ]]; then
  declare -gA __rune_shallow __rune_utf8
  __rune_bytes=()
  __rune_out_pairs=()
  __rune_err_code=
  __rune_err_message=
  __rune_serial=0
  __rune_finds=0
  __rune_depth_max=256
  __rune_number='^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?$'
  __rune_bad_escape='\\[^/bfnrtu]|\\$|\\u[^0-9a-fA-F]|\\u.[^0-9a-fA-F]|\\u..[^0-9a-fA-F]|\\u...[^0-9a-fA-F]|\\u.?.?.?$'
  __rune_wide_escape='\\U|\\u[^0]|\\u0[^0]|\\u00[^0-7]|\\u0000'
  __rune_pair_escape='\\u[dD][89a-fA-F]|\\u0000'
  # Byte classes are searched for by regular expression: a glob takes ten times as long. Byte 01 in one misleads bash 4.2.
  __rune_high=$'[\x80-\xff]'
  __rune_control=$'[^\x20-\xff]'
  __rune_never=$'[^\t\n\r\x20-\xff]'
  __rune_marked=$'[\xfe\xff]'
  __rune_blank=$'[\t\n\r]'
  # Escapes in keys, and NUL.
  __rune_no_skim=$'"[^"]*[\\\\\xfe\xff][^"]*":|\\\\u0000'
  __rune_inner='^.([^"]*"[^"]*")*[^"]*[[{]'
  # In an outline, which words and numbers cannot be: each character says what may follow.
  __rune_bad_scalar='[,:[]([^]["{}0-9fntV-]|-?0[0-9])|[]{}";V][0-9a-zE.+-]|[0-9][^],}0-9.eE]|[.+-][^0-9]|[.][0-9]+[.]'
  __rune_bad_scalar+='|[0-9][eE]([^0-9+-]|[+-]?[0-9]+[.eE])|(true|false|null)[^],}]|t[^r]|tr[^u]|tru[^e]'
  __rune_bad_scalar+='|f[^a]|fa[^l]|fal[^s]|fals[^e]|n[^u]|nu[^l]|nul[^l]'
  __rune_scalar_run=',[0-9.eE+-]+,[0-9.eE+,-]+,'
  __rune_stop=$'[] \t\n\r:{}[\xfd]*'
  __rune_fault=''
fi

# Rewrites __rune_s through function $1 in pieces, because bash's substitutions are quadratic on long text. The function
# rewrites __rune_c and may leave a tail that must not be cut in __rune_k; __rune_last is set on the last piece.
__rune_map() {
  local __rune_big __rune_part __rune_out='' __rune_k='' __rune_last='' __rune_c
  local __rune_i __rune_j __rune_n=${#__rune_s}
  for ((__rune_i = 0; __rune_i < __rune_n; __rune_i += 65536)); do
    __rune_big=${__rune_s:__rune_i:65536}
    __rune_part=''
    for ((__rune_j = 0; __rune_j < ${#__rune_big}; __rune_j += 1024)); do
      if ((__rune_i + __rune_j + 1024 >= __rune_n)); then __rune_last=1; fi
      __rune_c=$__rune_k${__rune_big:__rune_j:1024}
      __rune_k=''
      "$1"
      __rune_part+=$__rune_c
    done
    __rune_out+=$__rune_part
  done
  __rune_s=$__rune_out
}

# The patterns for UTF-8: T is a tail byte, N anything else or the end. A search for a fault is ten times faster than a
# match of everything that is right.
__rune_utf8_patterns() {
  __rune_fault=$'[\xc0\xc1\xf5-\xff]|^T|[^\x80-\xff]T|[\xc2-\xdf](N|TT)|[\xe0-\xef](N|TN|TTT)|\xe0[\x80-\x9f]|\xed[\xa0-\xbf]'
  __rune_fault+=$'|[\xf0-\xf4](N|TN|TTN|TTTT)|\xf0[\x80-\x8f]|\xf4[\x90-\xbf]'
  __rune_valid=$'^([^\x80-\xff]|[\xc2-\xdf]T|\xe0[\xa0-\xbf]T|[\xe1-\xec\xee\xef]TT|\xed[\x80-\x9f]T'
  __rune_valid+=$'|\xf0[\x90-\xbf]TT|[\xf1-\xf3]TTT|\xf4[\x80-\x8f]TT)*'
  __rune_broken=$'^(\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef]T|\xed[\x80-\x9f]|\xf0[\x90-\xbf]T?|[\xf1-\xf3]TT?|\xf4[\x80-\x8f]T?|.)'
  __rune_fault=${__rune_fault//N/$'([^\x80-\xbf]|$)'}
  __rune_fault=${__rune_fault//T/$'[\x80-\xbf]'}
  __rune_valid=${__rune_valid//T/$'[\x80-\xbf]'}
  __rune_broken=${__rune_broken//T/$'[\x80-\xbf]'}
}

# Piece: invalid UTF-8 becomes U+FFFD, one for each maximal part of a sequence, as browsers and Node do.
__rune_map_scrub() {
  [[ $__rune_c =~ $__rune_high ]] || return 0
  local __rune_x=0 __rune_rest
  if [[ -z $__rune_last ]]; then
    case $__rune_c in
      *[$'\xc2'-$'\xf4']) __rune_x=1 ;;
      *[$'\xe0'-$'\xf4'][$'\x80'-$'\xbf']) __rune_x=2 ;;
      *[$'\xf0'-$'\xf4'][$'\x80'-$'\xbf'][$'\x80'-$'\xbf']) __rune_x=3 ;;
    esac
    __rune_k=${__rune_c:${#__rune_c}-__rune_x}
    __rune_c=${__rune_c:0:${#__rune_c}-__rune_x}
  fi
  if [[ -z $__rune_fault ]]; then __rune_utf8_patterns; fi
  [[ $__rune_c =~ $__rune_fault ]] || return 0
  __rune_rest=$__rune_c
  __rune_c=''
  while [[ -n $__rune_rest ]]; do
    if [[ $__rune_rest =~ $__rune_valid ]]; then
      __rune_c+=${BASH_REMATCH[0]}
      __rune_rest=${__rune_rest:${#BASH_REMATCH[0]}}
    fi
    if [[ $__rune_rest =~ $__rune_broken ]]; then
      __rune_c+=$'\xef\xbf\xbd'
      __rune_rest=${__rune_rest:${#BASH_REMATCH[0]}}
    fi
  done
}

# Piece: JSON text to marked text.
__rune_map_mark() {
  __rune_map_scrub
  __rune_c=${__rune_c//\\\\/$'\xff'}
  __rune_c=${__rune_c//\\\"/$'\xfe'}
  if [[ -z $__rune_last && $__rune_c == *\\ ]]; then
    __rune_c=${__rune_c%\\}
    __rune_k=\\$__rune_k
  fi
}

# Piece: marked text back to JSON text.
__rune_map_unmark() {
  __rune_c=${__rune_c//$'\xfe'/\\\"}
  __rune_c=${__rune_c//$'\xff'/\\\\}
}

# For pieces with escapes: what is cut at the end, and the first half of a pair, goes to the next piece.
__rune_hold() {
  local __rune_x=${__rune_c##*\\}
  if [[ -n $__rune_last || $__rune_c != *\\* ]]; then return 0; fi
  case $__rune_x in
    [bfnrt/]* | u????* | U????????*) ;;
    *)
      __rune_k=\\$__rune_x
      __rune_c=${__rune_c%\\*}
      ;;
  esac
  if [[ $__rune_c == *\\u[dD][89abAB]?? ]]; then
    __rune_k=${__rune_c:${#__rune_c}-6}$__rune_k
    __rune_c=${__rune_c%??????}
  fi
}

# Piece: escapes that printf %b does not know to those that it does. A pair of \u becomes one \U; half a pair and NUL, which
# no variable can hold, U+FFFD.
__rune_map_pairs() {
  local __rune_x __rune_p __rune_o __rune_half=''
  __rune_hold
  __rune_c=${__rune_c//\\\//\/}
  __rune_c=${__rune_c//\\u0000/\\ufffd}
  [[ $__rune_c =~ $__rune_pair_escape ]] || return 0
  __rune_o=${__rune_c%%\\*}
  __rune_x=${__rune_c:${#__rune_o}+1}
  for __rune_p in $__rune_x; do
    case $__rune_half:$__rune_p in
      :u[dD][89abAB]??) __rune_half=$__rune_p ;;
      :u[dD][89a-fA-F]*) __rune_o+=\\ufffd${__rune_p:5} ;;
      :*) __rune_o+=\\$__rune_p ;;
      *:u[dD][c-fC-F]*)
        # Its last two digits are those of the whole.
        __rune_x=$__rune_half${__rune_p:2:1}
        if [[ -z ${__rune_utf8[$__rune_x]-} ]]; then
          printf -v "__rune_utf8[$__rune_x]" %06x $((0x100 + ((16#${__rune_x:1:4} & 0x3ff) << 2) + (16#${__rune_x:5} & 3)))
        fi
        __rune_o+=\\U${__rune_utf8[$__rune_x]}${__rune_p:3}
        __rune_half=''
        ;;
      *:u[dD][89abAB]??)
        __rune_o+=\\ufffd
        __rune_half=$__rune_p
        ;;
      *:u[dD][89abAB]*)
        __rune_o+=\\ufffd\\ufffd${__rune_p:5}
        __rune_half=''
        ;;
      *)
        __rune_o+=\\ufffd\\$__rune_p
        __rune_half=''
        ;;
    esac
  done
  __rune_c=$__rune_o${__rune_half:+\\ufffd}
}

# Piece: escapes of characters beyond ASCII to their bytes, for a machine without a locale that tells printf how.
__rune_map_wide() {
  local __rune_x __rune_p __rune_o
  __rune_hold
  __rune_o=${__rune_c%%\\*}
  __rune_x=${__rune_c:${#__rune_o}+1}
  for __rune_p in $__rune_x; do
    case $__rune_p in
      u00[0-7]* | [bfnrt]*) __rune_o+=\\$__rune_p ;;
      u*)
        if [[ -z ${__rune_utf8[${__rune_p:1:4}]-} ]]; then __rune_char "${__rune_p:1:4}"; fi
        __rune_o+=${__rune_utf8[${__rune_p:1:4}]}${__rune_p:5}
        ;;
      *)
        if [[ -z ${__rune_utf8[${__rune_p:1:8}]-} ]]; then __rune_char "${__rune_p:1:8}"; fi
        __rune_o+=${__rune_utf8[${__rune_p:1:8}]}${__rune_p:9}
        ;;
    esac
  done
  __rune_c=$__rune_o
}

# Remembers in __rune_utf8[$1] the bytes of the character beyond ASCII whose number is in the hex digits in $1.
__rune_char() {
  local __rune_x __rune_n=$((16#$1))
  if ((${#__rune_bytes[@]} == 0)); then
    for ((__rune_x = 128; __rune_x < 245; __rune_x++)); do
      printf -v "__rune_bytes[$__rune_x]" '\\x%x' "$__rune_x"
      printf -v "__rune_bytes[$__rune_x]" %b "${__rune_bytes[__rune_x]}"
    done
  fi
  # A document may hold very many different ones.
  if ((${#__rune_utf8[@]} > 1000)); then __rune_utf8=(); fi
  __rune_x=${__rune_bytes[128 + (__rune_n & 63)]}
  if ((__rune_n < 0x800)); then
    __rune_x=${__rune_bytes[192 + (__rune_n >> 6)]}$__rune_x
  else
    __rune_x=${__rune_bytes[128 + (__rune_n >> 6 & 63)]}$__rune_x
    if ((__rune_n < 0x10000)); then
      __rune_x=${__rune_bytes[224 + (__rune_n >> 12)]}$__rune_x
    else
      __rune_x=${__rune_bytes[240 + (__rune_n >> 18)]}${__rune_bytes[128 + (__rune_n >> 12 & 63)]}$__rune_x
    fi
  fi
  __rune_utf8[$1]=$__rune_x
}

# Piece: marked text without escapes to text.
__rune_map_plain() {
  __rune_c=${__rune_c//$'\xfe'/\"}
  __rune_c=${__rune_c//$'\xff'/\\}
}

# Sets __rune_s from the marked content of a JSON string to the text it means. Needs the C locale.
__rune_decode() {
  if [[ $__rune_s == *\\* ]]; then
    # printf knows every escape but the slash's, and those of ASCII characters in every locale.
    if [[ $__rune_s == *\\/* || $__rune_s =~ $__rune_wide_escape ]]; then
      __rune_resolve
    else
      printf -v __rune_s %b "$__rune_s"
    fi
  fi
  if [[ $__rune_s =~ $__rune_marked ]]; then __rune_map __rune_map_plain; fi
}

# For __rune_decode: escapes that printf does not know, or not in every locale.
__rune_resolve() {
  local IFS __rune_globs='' __rune_x
  printf -v IFS %b '\x5c'
  if [[ $- != *f* ]]; then __rune_globs=1; fi
  set -f
  if [[ $__rune_s == *\\/* || $__rune_s =~ $__rune_pair_escape ]]; then __rune_map __rune_map_pairs; fi
  if [[ -z ${__rune_locale+set} ]]; then
    for __rune_locale in C.UTF-8 C.utf8 en_US.UTF-8 en_US.utf8 ''; do
      { LC_ALL=$__rune_locale; } 2>/dev/null
      printf -v __rune_x '\u07ff\u4e2d\U0001f600'
      LC_ALL=C
      if [[ $__rune_x == $'\xdf\xbf\xe4\xb8\xad\xf0\x9f\x98\x80' ]]; then break; fi
    done
  fi
  # Bash 4.2 writes the first characters beyond ASCII wrongly in every locale.
  __rune_x=$__rune_wide_escape
  if [[ -n $__rune_locale ]]; then __rune_x='\\u00[89a-fA-F]'; fi
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 403)) || [[ -z $__rune_locale ]]; then
    if [[ $__rune_s =~ $__rune_x ]]; then __rune_map __rune_map_wide; fi
  fi
  LC_ALL=${__rune_locale:-C}
  printf -v __rune_s %b "$__rune_s"
  LC_ALL=C
  if [[ -n $__rune_globs ]]; then set +f; fi
}

# Piece: any bytes to the content of a JSON string.
__rune_map_quote() {
  local __rune_x __rune_h
  __rune_map_scrub
  __rune_c=${__rune_c//\\/\\\\}
  __rune_c=${__rune_c//\"/\\\"}
  while [[ $__rune_c =~ $__rune_control ]]; do
    __rune_x=${BASH_REMATCH[0]}
    case $__rune_x in
      $'\n') __rune_h='\n' ;;
      $'\t') __rune_h='\t' ;;
      $'\r') __rune_h='\r' ;;
      *) printf -v __rune_h '\\u%04x' "'$__rune_x" ;;
    esac
    __rune_c=${__rune_c//"$__rune_x"/"$__rune_h"}
  done
}

# Rewrites __rune_s, which __rune_quote found unusual, to the content of a JSON string.
__rune_escape() {
  local LC_ALL=C
  __rune_map __rune_map_quote
}

# Parses the marked text in __rune_s. Members of the container with tag $1, and of the sections it leads to, are left in
# __rune_raw and __rune_kind under TAG:KEY, kinds: s plain string, e string with escapes, n null, o object, a array,
# j other; objects and arrays are kept as OFFSET:LENGTH in __rune_doc. Needs the C locale and noglob. Fails with the
# reason in __rune_bad. States: V value expected, A value or ], K key or }, k key, C colon, E comma or end, S start.
__rune_walk() {
  local IFS='"' __rune_p __rune_w __rune_x __rune_q __rune_new __rune_comma __rune_st=S __rune_b=- __rune_tag='' __rune_key=''
  local __rune_pos=-1 __rune_d=0
  local -a __rune_open __rune_keys __rune_starts
  __rune_bad='not JSON'
  if [[ $__rune_s =~ $__rune_never || ($__rune_s == *\\* && $__rune_s =~ $__rune_bad_escape) ]]; then
    __rune_bad='not JSON: bad escape or control character'
    return 1
  fi
  # shellcheck disable=SC2206
  __rune_q=($__rune_s$'\xfd')
  if [[ $__rune_s =~ $__rune_blank ]] && ! __rune_blanks_outside; then return 1; fi
  IFS=,
  # Every other piece is the content of a string. __rune_pos is one less than the piece's offset.
  for __rune_p in "${__rune_q[@]}"; do
    case $__rune_st$__rune_b$__rune_p in
      'C{:')
        __rune_st=V
        ((__rune_pos += 2))
        ;;
      'E{,')
        __rune_st=k
        ((__rune_pos += 2))
        ;;
      [Kk]*)
        if [[ -n $__rune_tag ]]; then
          __rune_key=$__rune_p
          if [[ $__rune_p == *[\\$'\xfe\xff']* ]]; then
            __rune_x=$__rune_s
            __rune_s=$__rune_p
            __rune_decode
            __rune_key=$__rune_s
            __rune_s=$__rune_x
          fi
          if [[ $__rune_tag == x && -z ${__rune_kind[x:$__rune_key]-} ]]; then __rune_order+=("$__rune_key"); fi
        fi
        __rune_st=C
        ((__rune_pos += ${#__rune_p} + 1))
        ;;
      [VA]*)
        if [[ -n $__rune_tag ]]; then
          __rune_x=s
          if [[ $__rune_p == *[\\$'\xfe\xff']* ]]; then __rune_x=e; fi
          __rune_record "$__rune_x" "$__rune_p"
        fi
        __rune_st=E
        ((__rune_pos += ${#__rune_p} + 1))
        ;;
      'E{},{')
        # From one object of a list to the next.
        if [[ -z $__rune_tag && ${__rune_open[__rune_d - 1]} == '[' ]]; then
          __rune_st=K
          ((__rune_pos += 4))
        else
          __rune_tokens "$1" || return 1
        fi
        ;;
      'C{:'[tfn0-9]*,)
        __rune_x=${__rune_p:1:${#__rune_p}-2}
        case $__rune_x in
          true | false | [0-9] | [1-9][0-9] | [1-9][0-9][0-9])
            if [[ -n $__rune_tag ]]; then __rune_record j "$__rune_x"; fi
            __rune_st=k
            ((__rune_pos += ${#__rune_p} + 1))
            ;;
          *) __rune_tokens "$1" || return 1 ;;
        esac
        ;;
      *) __rune_tokens "$1" || return 1 ;;
    esac
  done
  [[ $__rune_new$__rune_d == E0 ]] && ((__rune_pos == ${#__rune_s}))
}

# For __rune_walk: reads a piece between two strings token by token.
__rune_tokens() {
  if [[ $__rune_st == S ]]; then __rune_st=V; fi
  __rune_comma=''
  # Byte FD ends the text: every other piece needs one too, or a comma at its end would be lost in splitting.
  if ((__rune_pos + ${#__rune_p} < ${#__rune_s})); then __rune_p+=$'\xfd'; fi
  for __rune_w in $__rune_p; do
    ((__rune_pos += ${#__rune_w} + 1))
    case $__rune_comma$__rune_st$__rune_b in
      ,E'{') __rune_st=k ;;
      ,E'[')
        __rune_st=V
        if [[ -n $__rune_tag ]]; then __rune_key=$((__rune_key + 1)); fi
        ;;
      ,*) return 1 ;;
    esac
    __rune_comma=,
    while :; do
      # From here on the offset is __rune_pos less what is left of __rune_w.
      case $__rune_st${__rune_w:0:1} in
        ? | ?$'\xfd') break ;;
        C:)
          __rune_st=V
          __rune_w=${__rune_w:1}
          ;;
        [KE]'}' | [AE]']')
          __rune_x=$__rune_b${__rune_w:0:1}
          case $__rune_x in
            '{}') __rune_x=o ;;
            '[]') __rune_x=a ;;
            *) return 1 ;;
          esac
          __rune_w=${__rune_w:1}
          ((__rune_d -= 1))
          __rune_b=${__rune_open[__rune_d]}
          __rune_tag=${__rune_b:1}
          __rune_b=${__rune_b:0:1}
          __rune_st=E
          if [[ -n $__rune_tag ]]; then
            __rune_key=${__rune_keys[__rune_d]}
            __rune_new=${__rune_starts[__rune_d]}
            __rune_raw[$__rune_tag:$__rune_key]=$__rune_new:$((__rune_pos - ${#__rune_w} - __rune_new))
            __rune_kind[$__rune_tag:$__rune_key]=$__rune_x
          fi
          ;;
        [VA]['{[']*)
          __rune_open[__rune_d]=$__rune_b$__rune_tag
          __rune_b=${__rune_w:0:1}
          __rune_new=''
          if [[ -n $__rune_tag ]]; then
            __rune_keys[__rune_d]=$__rune_key
            __rune_starts[__rune_d]=$((__rune_pos - ${#__rune_w}))
            if [[ $__rune_tag == [ry]* ]]; then __rune_enter "$__rune_b"; fi
          elif ((__rune_d == 0)); then
            __rune_new=$1
          elif ((__rune_d == __rune_depth_max)); then
            __rune_bad="nested deeper than $__rune_depth_max"
            return 1
          fi
          __rune_tag=$__rune_new
          __rune_w=${__rune_w:1}
          ((__rune_d += 1))
          __rune_st=K
          if [[ $__rune_b == '[' ]]; then
            __rune_st=A
            __rune_key=0
          fi
          ;;
        ?[$' \t\n\r'])
          __rune_w=${__rune_w#"${__rune_w%%[!$' \t\n\r']*}"}
          ;;
        [VA]?)
          # shellcheck disable=SC2295
          __rune_x=${__rune_w%%$__rune_stop}
          __rune_w=${__rune_w:${#__rune_x}}
          __rune_new=j
          case $__rune_x in
            null) __rune_new=n ;;
            true | false | [0-9]) ;;
            '' | *[!0-9]* | 0*) [[ $__rune_x =~ $__rune_number ]] || return 1 ;;
          esac
          if [[ -n $__rune_tag ]]; then __rune_record "$__rune_new" "$__rune_x"; fi
          __rune_st=E
          ;;
        *) return 1 ;;
      esac
    done
  done
  ((__rune_pos -= 1))
  # A string comes next, if anything does.
  __rune_new=$__rune_st
  if [[ $__rune_st == [CE] ]]; then __rune_st=X; fi
}

# Fails when one of the strings in __rune_q holds a raw tab or line end.
__rune_blanks_outside() {
  local __rune_odd=''
  for __rune_p in "${__rune_q[@]}"; do
    if [[ -n $__rune_odd && $__rune_p == *[$'\t\n\r']* ]]; then return 1; fi
    if [[ -n $__rune_odd ]]; then __rune_odd=''; else __rune_odd=1; fi
  done
}

__rune_record() {
  __rune_raw[$__rune_tag:$__rune_key]=$2
  __rune_kind[$__rune_tag:$__rune_key]=$1
  if [[ $__rune_tag == [ry]* ]]; then __rune_enter ''; fi
}

# Sets __rune_new to a tag when the value that begins with $1 is a section of the input: m message_metadata,
# o observability, y payload, p input_parameters, c context, e error. A repeated section replaces the earlier one.
__rune_enter() {
  local __rune_l
  case $__rune_tag:$__rune_key in
    r:message_metadata) __rune_l=m ;;
    r:observability) __rune_l=o ;;
    r:error) __rune_l=e ;;
    r:payload)
      __rune_l=y
      __rune_section[p]=''
      __rune_section[c]=''
      ;;
    y*:input_parameters) __rune_l=p ;;
    y*:context) __rune_l=c ;;
    *) return 0 ;;
  esac
  __rune_section[$__rune_l]=''
  if [[ $1 == '{' ]]; then
    __rune_serial=$((__rune_serial + 1))
    __rune_new=$__rune_l$__rune_serial
    __rune_section[$__rune_l]=$__rune_new
  fi
}

# Marks the JSON text in __rune_s, keeps it in __rune_doc and reads it with root tag $1. Needs the C locale.
__rune_parse() {
  if [[ $__rune_s =~ $__rune_high || $__rune_s == *\\[\\\"]* ]]; then __rune_map __rune_map_mark; fi
  __rune_doc=$__rune_s
  __rune_noglob __rune_read_doc "$1"
}

__rune_read_doc() {
  if [[ $1 == r ]] && __rune_skim; then return 0; fi
  __rune_walk "$1"
}

# Piece: the outline of JSON text, shortened as far as it is right: M stands for members of an object, V for a value. What
# is right becomes V, and what is wrong never does, however the text was cut.
__rune_map_reduce() {
  local __rune_x=''
  if [[ -n $__rune_scalars ]]; then
    if [[ -z $__rune_last && $__rune_c == *[,:[] ]]; then
      __rune_k=${__rune_c:${#__rune_c}-1}
      __rune_c=${__rune_c%?}
    fi
    __rune_c=${__rune_c//:[0-9fnt-]/:V}
    __rune_c=${__rune_c//,[0-9fnt-]/,V}
    __rune_c=${__rune_c//\[[0-9fnt-]/[V}
    __rune_c=${__rune_c//[0-9a-zE.+-]/}
  fi
  __rune_c=${__rune_c//:\"/:V}
  __rune_c=${__rune_c//\",/V,}
  __rune_c=${__rune_c//\"]/V]}
  while [[ $__rune_c != "$__rune_x" ]]; do
    __rune_x=$__rune_c
    __rune_c=${__rune_c//\":V/M}
    __rune_c=${__rune_c//M,M/M}
    __rune_c=${__rune_c//M,M/M}
    __rune_c=${__rune_c//\{M\}/V}
    __rune_c=${__rune_c//\{\}/V}
    if [[ $__rune_c == *\[* ]]; then
      __rune_c=${__rune_c//,V,V/,V}
      __rune_c=${__rune_c//,V,V/,V}
      __rune_c=${__rune_c//\[V,V]/V}
      __rune_c=${__rune_c//\[V]/V}
      __rune_c=${__rune_c//\[]/V}
    fi
  done
}

# Whether the marked texts $1, joined by semicolons, are JSON without blanks between the words. Says no to some that are.
# Needs the C locale and noglob.
__rune_compact() {
  local IFS='"' __rune_scalars='' __rune_c __rune_k __rune_last=1 __rune_i
  local __rune_s
  # The outline: every string is one quote.
  # shellcheck disable=SC2089
  printf -v __rune_s '%s"\xfd' "$1"
  # shellcheck disable=SC2086,SC2090
  printf -v __rune_s '%s"%.0s' $__rune_s
  __rune_s=${__rune_s%\"}
  if [[ $__rune_s =~ [^][{},:\;\"0-9a-zE.+-] ]]; then return 1; fi
  __rune_s=${__rune_s//:false/:V}
  __rune_s=${__rune_s//:true/:V}
  __rune_s=${__rune_s//:1,/:V,}
  if [[ $__rune_s =~ [0-9a-z] ]]; then
    if [[ $__rune_s =~ $__rune_bad_scalar ]]; then return 1; fi
    # Long lists of numbers.
    for ((__rune_i = 0; __rune_i < 8; __rune_i++)); do
      [[ $__rune_s =~ $__rune_scalar_run ]] || break
      __rune_s=${__rune_s//"${BASH_REMATCH[0]}"/,0,}
    done
    __rune_scalars=1
  fi
  if ((${#__rune_s} > 2000)); then __rune_map __rune_map_reduce; fi
  __rune_c=$__rune_s
  __rune_last=1
  __rune_map_reduce
  [[ $__rune_c == "$2" ]]
}

# Reads the marked document in __rune_s if it is laid out as mediators do it, and fails otherwise. Its members are looked up
# when they are asked for. Needs the C locale and noglob.
__rune_skim() {
  local __rune_m __rune_p __rune_o __rune_n
  if [[ $__rune_s =~ $__rune_control ]]; then return 1; fi
  if [[ $__rune_s == *[$'\\\xfe\xff']* ]] && [[ $__rune_s =~ $__rune_bad_escape || $__rune_s =~ $__rune_no_skim ]]; then return 1; fi
  [[ $__rune_s =~ ^\{\"message_metadata\":\{[^{}]*\},\"payload\":\{\"input_parameters\":\{ ]] || return 1
  __rune_m=${BASH_REMATCH[0]}
  [[ $__rune_s =~ \}\},\"observability\":\{[^{}]*\}\}$ ]] || return 1
  __rune_o=${BASH_REMATCH[0]}
  __rune_n=$((${#__rune_m} - 1))
  __rune_p=${__rune_s:__rune_n:${#__rune_s}-${#__rune_o}-__rune_n+1}
  [[ $__rune_p =~ ^.*\},\"context\":\{ ]] || return 1
  __rune_n=${#BASH_REMATCH[0]}
  __rune_m=${__rune_m:20}
  __rune_m=${__rune_m%,\"payload\":*}
  __rune_o=${__rune_o:19:${#__rune_o}-20}
  __rune_raw[y:input_parameters]=${__rune_p:0:__rune_n-12}
  __rune_raw[y:context]=${__rune_p:__rune_n-1}
  __rune_compact "$__rune_m;$__rune_o;${__rune_raw[y:context]};${__rune_raw[y:input_parameters]}" 'V;V;V;V' || return 1
  __rune_raw[r:message_metadata]=$__rune_m
  __rune_raw[r:observability]=$__rune_o
  for __rune_n in r:message_metadata r:observability y:input_parameters y:context; do __rune_kind[$__rune_n]=t; done
  __rune_section=([m]=qm [o]=qo [y]=y [c]=qc [p]=qp)
}

# Looks member $1 up in the skimmed section that it names, and puts it into the tables if it is there. Fails when that takes
# a real parser.
__rune_find() {
  local LC_ALL=C __rune_k=${1#*:} __rune_i __rune_x
  local __rune_where=r:observability
  case $1 in
    qp:*) __rune_where=y:input_parameters ;;
    qc:*) __rune_where=y:context ;;
    qm:*) __rune_where=r:message_metadata ;;
  esac
  case $__rune_k in
    '' | *[!abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-]*) return 1 ;;
  esac
  __rune_finds=$((__rune_finds + 1))
  local __rune_text=${__rune_raw[$__rune_where]}
  local __rune_head=$__rune_text
  if ((__rune_finds > 64 && ${#__rune_text} > 4096)); then return 1; fi
  for ((__rune_i = 0; ; __rune_i++)); do
    # The last of equal keys counts.
    [[ $__rune_head =~ ^.*[{,]\"${__rune_k//./[.]}\": ]] || return 0
    __rune_head=${BASH_REMATCH[0]}
    [[ $__rune_head =~ $__rune_inner ]] || break
    # There is something nested before it, or around it.
    if [[ -z ${__rune_nested-} ]]; then __rune_nest_patterns; fi
    if [[ -z ${__rune_shallow[$__rune_where]-} ]]; then
      [[ $__rune_text =~ ^${__rune_nested}$ ]] || return 1
      __rune_shallow[$__rune_where]=1
    fi
    [[ $__rune_head =~ $__rune_open_end ]] || break
    if ((__rune_i == 8)); then return 1; fi
    __rune_head=${__rune_head:0:${#__rune_head}-${#__rune_k}-3}
  done
  __rune_x=${__rune_text:${#__rune_head}}
  case $__rune_x in
    \"*)
      [[ $__rune_x =~ ^\"[^\"]*\" ]]
      __rune_x=${BASH_REMATCH[0]:1:${#BASH_REMATCH[0]}-2}
      __rune_kind[$1]=s
      if [[ $__rune_x =~ [$'\\\xfe\xff'] ]]; then __rune_kind[$1]=e; fi
      ;;
    '{'* | '['*)
      if [[ -z ${__rune_nested-} ]]; then __rune_nest_patterns; fi
      [[ $__rune_x =~ ^$__rune_nested ]] || return 1
      __rune_x=${BASH_REMATCH[0]}
      __rune_kind[$1]=t
      ;;
    *)
      [[ $__rune_x =~ ^[^],}]* ]]
      __rune_x=${BASH_REMATCH[0]}
      __rune_kind[$1]=j
      if [[ $__rune_x == null ]]; then __rune_kind[$1]=n; fi
      ;;
  esac
  __rune_raw[$1]=$__rune_x
}

# The patterns for what holds objects and lists: a whole one, not too deep, and text that ends within one that is in it.
__rune_nest_patterns() {
  local __rune_x='([^]"[{}]|"[^"]*")*' __rune_i
  for __rune_i in 1 2 3 4 5; do __rune_x="([^]\"[{}]|\"[^\"]*\"|[[{]${__rune_x}[]}])*"; done
  __rune_open_end="^.([^\"]*\"[^\"]*\")*[^\"]*[[{]$__rune_x\$"
  __rune_nested="[[{]${__rune_x}[]}]"
}

# Gives up looking members up one by one: reads the whole document.
__rune_reread() {
  local LC_ALL=C __rune_bad
  __rune_raw=()
  __rune_kind=()
  __rune_section=()
  __rune_short=''
  __rune_s=$__rune_doc
  __rune_noglob __rune_walk r
}

__rune_unmark() {
  if [[ $__rune_s =~ $__rune_marked ]]; then __rune_map __rune_map_unmark; fi
}

# Turns OFFSET:LENGTH in __rune_s into that part of __rune_doc. Needs the C locale.
__rune_slice() {
  local __rune_at=${__rune_s%:*} __rune_size=${__rune_s#*:}
  __rune_s=${__rune_doc:__rune_at:__rune_size}
}

# For __rune_fetch: what is not as it is meant.
__rune_unfold() {
  local LC_ALL=C
  case ${__rune_kind[$1]}$2 in
    et) __rune_decode ;;
    ej)
      __rune_s=\"$__rune_s\"
      __rune_unmark
      ;;
    t?) __rune_unmark ;;
    *)
      __rune_slice
      __rune_unmark
      ;;
  esac
}

# The whole section $1, then [-v VAR].
__rune_read_all() {
  local __rune_s __rune_var=''
  if [[ ${2-} == -v ]]; then __rune_var=$3; fi
  __rune_whole "$1"
  __rune_return
}

# Sets __rune_s to the JSON of section $1, {} when the input has none.
__rune_whole() {
  case ${__rune_section[$1]:+$1} in
    m) __rune_fetch r:message_metadata j ;;
    o) __rune_fetch r:observability j ;;
    p) __rune_fetch "${__rune_section[y]}:input_parameters" j ;;
    c) __rune_fetch "${__rune_section[y]}:context" j ;;
    *) __rune_s='{}' ;;
  esac
}

rune_all_params() { __rune_read_all p "$@"; }

rune_all_ctx() { __rune_read_all c "$@"; }

rune_param_json() {
  if [[ ${1-} == -v ]]; then
    __rune_read p j -v "$2" "$3" "${4-null}"
  else
    __rune_read p j "${1-}" "${2-null}"
  fi
}

rune_ctx_json() {
  if [[ ${1-} == -v ]]; then
    __rune_read c j -v "$2" "$3" "${4-null}"
  else
    __rune_read c j "${1-}" "${2-null}"
  fi
}

rune_param_list() {
  local __rune_json
  __rune_read p j -v __rune_json "$2" '[]'
  rune_json_items "$1" "$__rune_json"
}

# For __rune_read_input: any document.
__rune_read_any() {
  local __rune_key
  __rune_parse r || return 1
  if [[ $__rune_doc != *([$' \t\n\r'])'{'* ]]; then
    __rune_bad='not a JSON object'
    return 1
  fi
  if [[ $__rune_doc == *'\u0000'* ]]; then
    __rune_bad='it holds \u0000, which no shell variable can hold'
    for __rune_key in "${!__rune_raw[@]}"; do
      [[ $__rune_key == "${__rune_section[p]:-p}":* ]] || continue
      __rune_s=${__rune_raw[$__rune_key]}
      if [[ ${__rune_kind[$__rune_key]} == [oa] ]]; then __rune_slice; fi
      if [[ $__rune_s == *'\u0000'* ]]; then
        __rune_bad="parameter \"${__rune_key#*:}\" holds \\u0000, which no shell variable can hold"
      fi
    done
    return 1
  fi
}

# For rune_init: what the answer repeats of the input.
__rune_keep_sections() {
  if [[ -n ${__rune_section[m]-} ]]; then
    __rune_whole m
    __rune_metadata=$__rune_s
  fi
  __rune_whole o
  __rune_observability=$__rune_s
}

# Parses JSON text $1 for the functions below, which make the tables local: its members are then under x:KEY.
__rune_members() {
  local LC_ALL=C __rune_bad
  __rune_raw=()
  __rune_kind=()
  __rune_order=()
  __rune_s=$1
  __rune_parse x
}

rune_json_get() {
  local __rune_s __rune_doc __rune_var=$1 __rune_json=$2 __rune_form=j
  local -a __rune_order
  local -A __rune_raw __rune_kind
  shift 2
  while (($# > 0)); do
    if (($# == 1)); then __rune_form=t; fi
    __rune_members "$__rune_json" && __rune_fetch "x:$1" "$__rune_form" || return 1
    __rune_json=$__rune_s
    shift
  done
  printf -v "$__rune_var" %s "$__rune_json"
}

rune_json_items() {
  local __rune_s __rune_doc __rune_i
  local -a __rune_order
  local -A __rune_raw __rune_kind
  __rune_members "$2" || return 1
  eval "$1=()"
  for ((__rune_i = 0; ; __rune_i++)); do
    [[ -n ${__rune_kind[x:$__rune_i]-} ]] || break
    __rune_fetch "x:$__rune_i" t || __rune_s=null
    printf -v "$1[$__rune_i]" %s "$__rune_s"
  done
}

rune_json_keys() {
  local __rune_s __rune_doc __rune_i
  local -a __rune_order
  local -A __rune_raw __rune_kind
  __rune_members "$2" || return 1
  eval "$1=()"
  for ((__rune_i = 0; __rune_i < ${#__rune_order[@]}; __rune_i++)); do
    printf -v "$1[$__rune_i]" %s "${__rune_order[__rune_i]}"
  done
}

# Sets __rune_s to JSON text $1 with invalid UTF-8 replaced and __rune_has_message to whether it is an object with a
# message; fails when it is not JSON, or does not begin with $2.
__rune_check() {
  __rune_s=$1
  case $1$2 in
    true | false | null | [0-9] | '{}{') return 0 ;;
  esac
  local LC_ALL=C __rune_bad __rune_doc
  local -a __rune_order
  local -A __rune_raw __rune_kind
  __rune_members "$1" || return 1
  __rune_s=${__rune_s#"${__rune_s%%[!$' \t\n\r']*}"}
  if [[ -n $2 && $__rune_s != "$2"* ]]; then return 1; fi
  __rune_has_message=${__rune_kind[x:message]-}
  __rune_unmark
}

# For __rune_object: the same, where a key seems to be repeated.
__rune_object_once() {
  local __rune_pair __rune_k __rune_v __rune_out='' __rune_i
  local -a __rune_names
  local -A __rune_values
  __rune_names=()
  __rune_values=()
  for __rune_pair; do
    __rune_item "$__rune_pair"
    __rune_v=$__rune_s
    __rune_k=${__rune_pair%%=*}
    __rune_k=${__rune_k%:}
    if [[ -z ${__rune_values[_$__rune_k]-} ]]; then __rune_names+=("$__rune_k"); fi
    __rune_values[_$__rune_k]=$__rune_v
  done
  for ((__rune_i = 0; __rune_i < ${#__rune_names[@]}; __rune_i++)); do
    __rune_k=${__rune_names[__rune_i]}
    __rune_quote "$__rune_k"
    __rune_out+=,$__rune_s:${__rune_values[_$__rune_k]}
  done
  __rune_has_message=${__rune_values[_message]-}
  __rune_s="{${__rune_out#,}}"
}

rune_json_string() {
  local __rune_s
  __rune_quote "$2"
  printf -v "$1" %s "$__rune_s"
}

rune_json_object() {
  local __rune_s __rune_var=$1
  shift
  __rune_object "$@"
  printf -v "$__rune_var" %s "$__rune_s"
}

rune_json_array() {
  local __rune_s __rune_var=$1 __rune_all='' __rune_pair
  shift
  for __rune_pair; do
    __rune_item "$__rune_pair"
    __rune_all+=,$__rune_s
  done
  printf -v "$__rune_var" %s "[${__rune_all#,}]"
}

# Answers failure with code $1, message $2 and the object in __rune_s.
__rune_failure() {
  local __rune_details=$__rune_s __rune_code=$1
  case $__rune_code in
    '' | *[!0-9]* | ??????????*) __rune_code=100 ;;
  esac
  __rune_code=$((10#$__rune_code))
  if ((__rune_code == 0)); then __rune_code=100; fi
  __rune_quote "$2"
  __rune_s="{\"code\":$__rune_code,\"message\":$__rune_s,\"details\":$__rune_details}"
  if ((__rune_code > 255)); then __rune_code=3; fi
  __rune_answer null "$__rune_s" "$__rune_code"
}

rune_ok() {
  local __rune_s __rune_has_message=''
  if ! __rune_check "${2:-{\}}" '{'; then
    rune_error_kv 100 'Plugin fault: the output is not a JSON object' "message=${1-}" "output=${2-}"
  fi
  __rune_success "${1-}"
}

rune_error() {
  local __rune_s __rune_has_message
  # Details that cannot be sent must not hide the error they came with.
  __rune_check "${3:-{\}}" '{' || __rune_object "unreadable_details=$3"
  __rune_failure "${1-}" "${2-}"
}

rune_fail() { rune_error "$@"; }

rune_error_kv() {
  local __rune_s __rune_code=${1-} __rune_message=${2-}
  if (($# > 2)); then shift 2; else set --; fi
  __rune_object "$@"
  __rune_failure "$__rune_code" "$__rune_message"
}

rune_fail_kv() { rune_error_kv "$@"; }

rune_out() {
  if (($# == 2)); then __rune_out_pairs+=("$1=$2"); else __rune_out_pairs+=("${1-}"); fi
}

rune_err() {
  __rune_err_code=${1:-100}
  if (($# > 0)); then shift; fi
  __rune_err_message="${*:-error}"
}

rune_finish() {
  local __rune_s __rune_has_message=''
  __rune_object ${__rune_out_pairs[@]+"${__rune_out_pairs[@]}"}
  if [[ -n $__rune_err_code ]]; then __rune_failure "$__rune_err_code" "$__rune_err_message"; fi
  __rune_success "${1-success}"
}

rune_emit() {
  local __rune_s=$1 __rune_doc __rune_bad='' __rune_code=${2-} __rune_json=''
  __rune_emit_read "$1"
  if [[ -z $__rune_json ]]; then rune_error_kv 100 'Plugin fault: rune_emit was given no JSON object' "output=$1"; fi
  __rune_state=answered
  printf '%s\n' "$__rune_json"
  exit "$__rune_code"
}

# For rune_emit: sets __rune_json to the object in $1, if it is one, and fills in __rune_code from its error.
__rune_emit_read() {
  local LC_ALL=C __rune_short=''
  local -a __rune_order
  local -A __rune_raw __rune_kind __rune_section
  __rune_raw=()
  __rune_kind=()
  __rune_section=()
  if ! __rune_parse r || [[ $__rune_doc != *([$' \t\n\r'])'{'* ]]; then return 0; fi
  if [[ -z $__rune_code ]]; then
    __rune_code=0
    if __rune_fetch r:error j; then
      __rune_code=100
      if [[ -n ${__rune_section[e]} ]] && __rune_fetch "${__rune_section[e]}:code" j; then
        case $__rune_s in
          [1-9] | [1-9][0-9] | 1[0-9][0-9] | 2[0-4][0-9] | 25[0-5]) __rune_code=$__rune_s ;;
          [1-9]*) __rune_code=3 ;;
        esac
      fi
    fi
  fi
  __rune_s=$__rune_doc
  __rune_unmark
  __rune_json=$__rune_s
}

rune_progress() {
  local __rune_s __rune_int=${1-} __rune_part=''
  if [[ $__rune_int == *.* ]]; then
    __rune_part=${__rune_int#*.}
    __rune_int=${__rune_int%%.*}
  fi
  case $__rune_int$__rune_part in
    -*) __rune_int=0 __rune_part='' ;;
    '' | *[!0123456789]*)
      rune_log warn "rune_progress: \"${1-}\" is not a number: ${2-}"
      return 0
      ;;
  esac
  while [[ $__rune_int == 0?* ]]; do __rune_int=${__rune_int#0}; done
  case ${__rune_int:=0} in
    ? | ??) ;;
    *) __rune_int=100 __rune_part='' ;;
  esac
  __rune_event "{\"type\":\"progress\",\"percent\":$__rune_int${__rune_part:+.$__rune_part},\"message\":" "${2-}"
}
