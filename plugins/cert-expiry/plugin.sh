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

source_bytes_max=1048576
certificates_max=8
names_max=256
text_chars_max=1024
openssl_seconds=10

openssl_x509() {
  printf '%s\n' "$1" | timeout -s KILL "$openssl_seconds" openssl x509 -noout "${@:2}" 2>/dev/null
}

# collect TEXT: the first certificates in the text go to certificates.
collect() {
  local rest=$1 begin='-----BEGIN CERTIFICATE-----' end='-----END CERTIFICATE-----'
  while [[ $rest == *"$begin"*"$end"* ]] && ((${#certificates[@]} < certificates_max)); do
    rest=${rest#*"$begin"}
    certificates+=("$begin${rest%%"$end"*}$end")
    rest=${rest#*"$end"}
  done
}

read_certificate_file() {
  local text
  if [[ ! -f $file ]]; then rune_error_kv 3 'file is no regular file of this node' "file=$file"; fi
  if [[ ! -r $file ]]; then rune_error_kv 3 'file cannot be read by this user' "file=$file"; fi
  text=$(head -c "$source_bytes_max" -- "$file" | tr -d '\000')
  collect "$text"
  if ((${#certificates[@]} == 0)); then
    # Without an armour it may be DER.
    text=$(head -c "$source_bytes_max" -- "$file" | timeout -s KILL "$openssl_seconds" openssl x509 -inform DER -outform PEM 2>/dev/null) || text=''
    collect "$text"
  fi
  if ((${#certificates[@]} == 0)); then
    verdict=no_certificate
    reason='The file holds no certificate'
  fi
}

# Connects and reads the certificates that the server sends, and what openssl thinks of them.
ask_server() {
  local said status=0 line lines=() verified='^ *Verify return code: ([0-9]+) [(](.*)[)]$' address=$host options=()
  if [[ $host == *:* ]]; then address="[$host]"; fi
  # Names only: a server name may not be an address.
  if [[ ! $server_name =~ ^[0-9.]+$ && $server_name != *:* ]]; then options+=(-servername "$server_name"); fi
  if [[ $starttls != none ]]; then options+=(-starttls "$starttls"); fi
  said=$(
    timeout -s KILL "$seconds" openssl s_client -connect "$address:$port" ${options[@]+"${options[@]}"} -showcerts </dev/null 2>&1 |
      head -c "$source_bytes_max" | tr -d '\000'
  ) || status=$?
  collect "$said"
  if ((${#certificates[@]} > 0)); then
    split_lines "$said"
    for line in ${lines[@]+"${lines[@]}"}; do
      [[ $line =~ $verified ]] || continue
      rune_json_object trust code:=$((10#${BASH_REMATCH[1]})) "message=${BASH_REMATCH[2]:0:200}"
      break
    done
    return
  fi
  verdict=unreachable
  case $status:$said in
    124:* | 137:*) reason="No certificate within $timeout_ms ms" ;;
    *'Connection refused'* | *errno=111*) reason='Connection refused' ;;
    *'not known'* | *'name resolution'* | *'No address associated'* | *gethostbyname* | *'not supported for hostname'*)
      reason='The node cannot look the host up'
      ;;
    *'unreachable'* | *'No route to host'*) reason='No route to the host' ;;
    *CONNECTED*)
      verdict=no_certificate
      reason='Connected, but the server sent no certificate: it may not speak TLS there'
      ;;
    *)
      said=${said//[$'\n\t\r']/ }
      reason="openssl: ${said:0:500}"
      ;;
  esac
}

# to_time VAR_SECONDS VAR_TEXT OPENSSL_TIME: as seconds since 1970 and as RFC 3339.
to_time() {
  local shape='^[A-Z][a-z][a-z] +[0-9]+ [0-9]+:[0-9]+:[0-9.]+ [0-9]+ GMT$' both
  if [[ ! $3 =~ $shape ]] || ! both=$(date -u -d "$3" '+%s %Y-%m-%dT%H:%M:%SZ'); then
    rune_error_kv 3 'openssl printed a time that cannot be read' "time=${3:0:100}"
  fi
  printf -v "$1" %s "${both% *}"
  printf -v "$2" %s "${both#* }"
}

# days VAR SECONDS: whole days, rounded down: what ended an hour ago has -1 left.
days() {
  local whole=$(($2 / 86400))
  if (($2 < 0 && $2 % 86400 != 0)); then whole=$((whole - 1)); fi
  printf -v "$1" %d "$whole"
}

# inspect PEM: sets subject, issuer, serial, fingerprint, begins, begins_text, ends, ends_text; fails when it is no certificate.
inspect() {
  local output line lines=() from='' until=''
  output=$(openssl_x509 "$1" -subject -issuer -serial -dates -fingerprint -sha256 -nameopt RFC2253,-esc_msb) || return 1
  split_lines "$output"
  subject='' issuer='' serial='' fingerprint=''
  for line in ${lines[@]+"${lines[@]}"}; do
    case $line in
      subject=*) subject=${line#subject=} subject=${subject# } ;;
      issuer=*) issuer=${line#issuer=} issuer=${issuer# } ;;
      serial=*) serial=${line#serial=} ;;
      notBefore=*) from=${line#notBefore=} ;;
      notAfter=*) until=${line#notAfter=} ;;
      [Ss][Hh][Aa]256' Fingerprint='*) fingerprint=${line#*=} ;;
    esac
  done
  to_time begins begins_text "$from"
  to_time ends ends_text "$until"
}

# alternative_names PEM: sets dns_names, ip_addresses and other_names as JSON.
alternative_names() {
  local output line lines=() found='' name dns=() ip=() other=() count=0
  output=$(openssl_x509 "$1" -text -certopt no_header,no_version,no_serial,no_signame,no_validity,no_subject,no_issuer,no_pubkey,no_sigdump,no_aux) || output=''
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $found == next ]]; then
      found=$line
      break
    fi
    if [[ $line == *'X509v3 Subject Alternative Name:'* ]]; then found=next; fi
  done
  if [[ $found == next ]]; then found=''; fi
  split_lines "${found//, /$'\n'}"
  for name in ${lines[@]+"${lines[@]}"}; do
    while [[ $name == ' '* ]]; do name=${name# }; done
    if ((count == names_max)); then break; fi
    count=$((count + 1))
    name=${name:0:text_chars_max}
    case $name in
      DNS:*) dns+=("=${name#DNS:}") ;;
      'IP Address:'*) ip+=("=${name#IP Address:}") ;;
      ?*) other+=("=$name") ;;
    esac
  done
  rune_json_array dns_names ${dns[@]+"${dns[@]}"}
  rune_json_array ip_addresses ${ip[@]+"${ip[@]}"}
  rune_json_array other_names ${other[@]+"${other[@]}"}
}

# judge_first: describes the first certificate and sets verdict.
judge_first() {
  local option=-checkhost output dns_names='' ip_addresses='' other_names='' left=''
  if ! inspect "${certificates[0]}"; then
    verdict=no_certificate
    reason='openssl cannot read the certificate'
    return
  fi
  alternative_names "${certificates[0]}"
  days left $((ends - now))
  days_left=$left
  if ((now >= ends)); then
    verdict=expired
  elif ((now < begins)); then
    verdict=not_yet_valid
  elif ((left < days_min)); then
    verdict=expires_soon
  else
    verdict=valid
  fi
  rune_json_object certificate "subject=${subject:0:text_chars_max}" "issuer=${issuer:0:text_chars_max}" "serial=${serial:0:200}" \
    "fingerprint_sha256=${fingerprint:0:100}" "not_before=$begins_text" "not_after=$ends_text" \
    dns_names:="$dns_names" ip_addresses:="$ip_addresses" other_names:="$other_names"
  if [[ -z $host ]]; then return; fi
  if [[ $server_name =~ ^[0-9.]+$ || $server_name == *:* ]]; then option=-checkip; fi
  output=$(openssl_x509 "${certificates[0]}" "$option" "$server_name") || output=''
  case $output in
    *'does match'*) name_matches=true ;;
    *'does NOT match'*) name_matches=false ;;
  esac
}

# The certificates after the first: a server's intermediates, or the rest of a file.
judge_others() {
  local i left='' row='' list=''
  for ((i = 1; i < ${#certificates[@]}; i++)); do
    inspect "${certificates[i]}" || continue
    days left $((ends - now))
    rune_json_object row "subject=${subject:0:text_chars_max}" "issuer=${issuer:0:text_chars_max}" "not_after=$ends_text" days_left:="$left"
    list+=,$row
  done
  rune_out others:="[${list#,}]"
}

rune_init
rune_read_only

need date head openssl timeout tr
file='' host='' server_name='' starttls='' port='' days_min='' timeout_ms=''
rune_param -v file file
rune_param -v host host
rune_param -v server_name server_name "$host"
rune_param -v starttls starttls none
integer port port 443 1 65535
integer days_min days_min 21 0 36500
integer timeout_ms timeout_ms 5000 100 30000
host_shape='^[A-Za-z0-9_][A-Za-z0-9_.-]*$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$'
if [[ -n $file && -n $host || -z $file$host ]]; then rune_error 1 'Give either file or host' '{"field":"file"}'; fi
if [[ -n $file && $file != /* ]]; then rune_error 1 'file must be an absolute path' '{"field":"file"}'; fi
if [[ -n $host && ! $host =~ $host_shape ]]; then rune_error 1 'host must be a host name or an address' '{"field":"host"}'; fi
if [[ -n $host && ! $server_name =~ $host_shape ]]; then rune_error 1 'server_name must be a host name' '{"field":"server_name"}'; fi
case $starttls in
  none | smtp | imap | pop3 | ftp | ldap | postgres | mysql) ;;
  *) rune_error 1 'starttls names no protocol that is known' '{"field":"starttls"}' ;;
esac
printf -v seconds '%d.%03d' $((timeout_ms / 1000)) $((timeout_ms % 1000))
printf -v now '%(%s)T' -1

certificates=() verdict='' reason='' trust=null certificate=null days_left=null name_matches=null
begins=0 begins_text='' ends=0 ends_text=''
if [[ -n $file ]]; then read_certificate_file; else ask_server; fi
if ((${#certificates[@]} > 0)); then judge_first; fi
judge_others
ok=false
if [[ $verdict == valid ]]; then ok=true; fi
if [[ -n $reason ]]; then rune_json_string reason "$reason"; else reason=null; fi
rune_out ok:="$ok"
rune_out verdict="$verdict"
rune_out reason:="$reason"
rune_out days_left:="$days_left"
rune_out days_min:="$days_min"
rune_out certificate:="$certificate"
rune_out name_matches:="$name_matches"
rune_out trust:="$trust"
rune_finish ''
