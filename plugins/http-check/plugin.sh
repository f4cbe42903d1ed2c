#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
fi

# Bytes are characters here, and every tool speaks English.
export LC_ALL=C

body_bytes_max=1048576
head_bytes_max=65536
agent=rune-http-check

# The three clients print the answer's head and body, wget its head on stderr. None follows a redirection, reads a user's
# settings, uses a proxy or understands any scheme but these two.

ask_curl() {
  local options=(-q --silent --show-error --include --no-buffer --globoff --http1.1 --noproxy '*' --proto '=http,https'
    --user-agent "$agent")
  if [[ -n $host_header ]]; then options+=(--header "Host: $host_header"); fi
  if [[ $verify_tls == false ]]; then options+=(--insecure); fi
  timeout -s KILL "$seconds" curl ${options[@]+"${options[@]}"} -- "$url"
}

ask_wget() {
  local options=(--no-config -nv --server-response --content-on-error --max-redirect=0 --tries=1 --no-proxy --user-agent="$agent" -O -)
  if [[ -n $host_header ]]; then options+=(--header="Host: $host_header"); fi
  if [[ $verify_tls == false ]]; then options+=(--no-check-certificate); fi
  # Without a home it keeps no list of hosts that want TLS.
  HOME=/nonexistent timeout -s KILL "$seconds" wget ${options[@]+"${options[@]}"} -- "$url"
}

ask_bash() {
  local port=${url_port:-80} host=$url_host
  host=${host#[}
  # shellcheck disable=SC2016
  timeout -s KILL "$seconds" "$BASH" -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 7
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n" "$3" "$4" "$5" >&3
    exec cat <&3' check "${host%]}" "$port" "$url_path" "${host_header:-$url_host${url_port:+:$url_port}}" "$agent"
}

# Prints what the client wrote, the byte 1E, what it said on stderr, its exit status and the seconds it took.
request() {
  local notes TIMEFORMAT='%R'
  exec 4>&1
  notes=$(
    {
      time {
        { "ask_$client" && status=0 || status=$?; printf '\n%d\n' "$status" >&2; } | head -c $((body_bytes_max + head_bytes_max)) | tr '\000\036' '\001\001' >&4
      }
    } 2>&1
  )
  printf '\036%s' "$notes"
}

# read_head TEXT: sets status and location from lines such as "HTTP/1.1 200 OK"; interim answers are passed over.
read_head() {
  local line lines=() shape='^ *HTTP/[0-9.]+ ([0-9][0-9][0-9])( |$)'
  split_lines "${1//$'\r'/}"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line =~ $shape ]]; then
      status=$((10#${BASH_REMATCH[1]})) location=''
    elif [[ $line == *([' '])[Ll][Oo][Cc][Aa][Tt][Ii][Oo][Nn]:* && -z $location ]]; then
      location=${line#*:}
      while [[ $location == ' '* ]]; do location=${location# }; done
    fi
  done
}

# split_answer: takes the head, and those of interim answers, from the front of body.
split_answer() {
  local front head end
  while :; do
    front=${body:0:head_bytes_max}
    if [[ $front != HTTP/* ]]; then return; fi
    head=${front%%$'\r\n\r\n'*} end=4
    if [[ ${#head} == "${#front}" ]]; then head=${front%%$'\n\n'*} end=2; fi
    read_head "$head"
    body=${body:${#head}+end}
    if ((status >= 200)); then return; fi
  done
}

# explain SAID: sets state and reason for a client that got no answer.
explain() {
  local said=${1//$'\n'/ }
  said=${said% }
  case $exit_status:$said in
    124:* | 137:*) state=timeout ;;
    *'/dev/tcp/'*'No such file or directory'*) rune_error 2 'bash on this node was built without /dev/tcp' '{"missing":"curl or wget"}' ;;
    60:* | 51:* | *ertificate*) state=untrusted ;;
    *'onnection refused'* | *"Couldn't connect"* | *'Failed to connect'*'refused'*) state=refused ;;
    6:* | *'not known'* | *'name resolution'* | *'unable to resolve'* | *'resolve host'*) state=unknown_host ;;
    *'unreachable'* | *'No route to host'*) state=unreachable ;;
    *'timed out'*) state=timeout ;;
    35:* | *SSL* | *TLS*) state=tls_failed ;;
    # A connection that was made and then closed, or something that is no HTTP.
    1:* | 52:* | 56:* | 8:* | 0:* | *'No data received'* | *'end of file'*) state=no_http ;;
    *) state=failed ;;
  esac
  if [[ -z ${said// /} ]]; then said="$client ended with status $exit_status and without an answer"; fi
  reason=${said:0:500}
}

rune_init
rune_read_only

url='' expected_text='' host_header='' verify_tls='' timeout_ms='' expected_status=()
rune_param -v url url
rune_param -v expected_text expected_text
rune_param -v host_header host_header
rune_param -v verify_tls verify_tls true
rune_param_list expected_status expected_status
integer timeout_ms timeout_ms 10000 100 60000
# The address may hold no blank, control character, fragment, or user name.
url_shape='^(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*)(:([0-9]{1,5}))?(([/?][!-~]*)?)$'
if ((${#url} > 2048)) || [[ ! $url =~ $url_shape || $url == *'#'* ]]; then
  rune_error 1 'url must be http://HOST[:PORT][/PATH] or https://…, without blanks, user name and fragment' '{"field":"url"}'
fi
scheme=${BASH_REMATCH[1]} url_host=${BASH_REMATCH[2]} url_port=${BASH_REMATCH[4]} url_path=${BASH_REMATCH[5]}
if [[ $url_path != /* ]]; then url_path=/$url_path; fi
if [[ -n $url_port ]] && ((10#$url_port < 1 || 10#$url_port > 65535)); then rune_error 1 'url has a port that is none' '{"field":"url"}'; fi
if [[ -n $host_header && ! $host_header =~ ^[A-Za-z0-9_][A-Za-z0-9_.:-]*$ ]]; then
  rune_error 1 'host_header must be a host name' '{"field":"host_header"}'
fi
if [[ $verify_tls != true && $verify_tls != false ]]; then rune_error 1 'verify_tls must be true or false' '{"field":"verify_tls"}'; fi
for code in ${expected_status[@]+"${expected_status[@]}"}; do
  if [[ ! $code =~ ^[1-5][0-9][0-9]$ ]]; then rune_error 1 'expected_status must hold numbers from 100 to 599' '{"field":"expected_status"}'; fi
done
need head timeout tr
printf -v seconds '%d.%03d' $((timeout_ms / 1000)) $((timeout_ms % 1000))

if type -P curl >/dev/null; then
  client=curl
elif type -P wget >/dev/null && [[ $(wget --version 2>/dev/null || :) == 'GNU Wget'* ]]; then
  client=wget
elif [[ $scheme == http ]]; then
  client=bash
  need cat
else
  rune_error 2 'curl or GNU wget is missing on this node, and https needs one of them' '{"missing":"curl or wget"}'
fi

answer=$(request)
notes=${answer##*$'\036'}
body=${answer%$'\036'*}
took=${notes##*$'\n'} notes=${notes%$'\n'*}
exit_status=${notes##*$'\n'} notes=${notes%$'\n'*}
if [[ ! $took =~ ^([0-9]+)[.]([0-9]{3})$ || ! $exit_status =~ ^[0-9]+$ ]]; then
  rune_error_kv 3 'The request could not be made' "client=$client" "stderr=${notes:0:1000}"
fi
took=$((10#${took/./}))

status=0 location='' state=answered reason='' has_status=false has_text=null
if [[ $client == wget ]]; then read_head "$notes"; else split_answer; fi
truncated=false
if ((${#body} > body_bytes_max)); then
  truncated=true
  body=${body:0:body_bytes_max}
fi
if ((status < 200)); then
  explain "$notes"
  rune_out status:=null
  rune_out body_bytes:=null
elif [[ $truncated == false && $exit_status != 0 && $client$exit_status != wget[18] ]]; then
  # wget ends with 8 for an answer that is no success and with 1 for a redirection to a scheme it does not know.
  state=incomplete
  reason='The answer began, but broke off'
  if ((exit_status == 137 || exit_status == 124)); then state=timeout reason='The answer began, but did not end in time'; fi
  rune_out status:="$status"
  rune_out body_bytes:="${#body}"
else
  if ((${#expected_status[@]} == 0 && status < 300)); then has_status=true; fi
  for code in ${expected_status[@]+"${expected_status[@]}"}; do
    if ((code == status)); then has_status=true; fi
  done
  rune_out status:="$status"
  rune_out body_bytes:="${#body}"
fi
if [[ -n $expected_text ]] && ((status >= 200)); then
  has_text=false
  if [[ $body == *"$expected_text"* ]]; then has_text=true; fi
fi
ok=false
if [[ $state == answered && $has_status == true && $has_text != false ]]; then ok=true; fi
if [[ -n $reason ]]; then rune_json_string reason "$reason"; else reason=null; fi
if [[ -n $location ]]; then rune_json_string location "${location:0:2048}"; else location=null; fi
rune_out ok:="$ok"
rune_out "state=$state"
rune_out reason:="$reason"
rune_out status_expected:="$has_status"
rune_out text_found:="$has_text"
rune_out body_truncated:="$truncated"
rune_out time_ms:="$took"
rune_out location:="$location"
rune_out "client=$client"
rune_finish ''
