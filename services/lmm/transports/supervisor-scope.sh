# shellcheck shell=bash
# What follows supervisor.sh for a plugin that asks for a scope of systemd, and is then a part of its rest. No other run carries it.
# shellcheck disable=SC2034,SC2154,SC2317 # supervisor.sh has and reads what this sets and reads, and calls it

# Starts the plugin's process in a scope of its own, which whatever it starts cannot leave unless systemd moves it, and sets PLUGIN.
# Fails where the node gives none; then nothing of the upload is read.
start_in_scope() {
  local manager=--system directory=/run/user/$EUID line
  # Only root may ask systemd itself; for any other user its own manager does, which there is while it is logged in or lingers.
  [ "$EUID" -eq 0 ] || manager=--user
  [ -d /run/systemd/system ] && type -P systemd-run >/dev/null && [[ $EUID -eq 0 || -d $directory/systemd ]] || return
  # systemd-run and env become the shell in place. Their own words are nobody's: without a scope the run goes on.
  coproc RUNE {
    XDG_RUNTIME_DIR=$directory exec systemd-run "$manager" --scope --quiet --collect --no-ask-password --unit="rune-$RUN_ID" --description="RUNE run $RUN_ID" \
      --property=TasksMax=infinity -- env -i "$BASH" --noprofile --norc -c "echo;exec 2>&4 4>&-;$PLUGIN_SHELL" plugin.sh \
      "$LIBRARY_BYTES" "$LIBRARY_REST_BYTES" "$HELPER_BYTES" "$SCRIPT_BYTES"
  } 2>/dev/null
  PLUGIN=$!
  # Its variables are gone when it has ended already.
  if [ -n "${RUNE[0]-}" ] && exec 6<&"${RUNE[0]}" && wait_for $((LEASE / 3)) && IFS= read -r -t "$WAIT" -u 6 line; then
    exec 6<&-
    ! find_scope || LOOK=look_in_scope
    return 0
  fi
  kill -KILL "$PLUGIN"
  wait "$PLUGIN"
  # In the meantime it may have begun to read the upload.
  ! IFS= read -r -u 6 line || not_started 'systemd gave the plugin its scope too late'
  exec 6<&-
  return 1
}

# Sets CGROUP to where the process $1 is in HIERARCHY.
read_cgroup() {
  local line
  CGROUP=''
  while IFS= read -r line; do
    case $line in "$HIERARCHY"*) CGROUP=${line#"$HIERARCHY"} ;; esac
  done <"/proc/$1/cgroup"
}

# Sets SCOPE to the directory of the plugin's scope, HIERARCHY to what its lines begin with, and OWN_CGROUP.
find_scope() {
  local line path top pid
  while IFS= read -r line; do
    path=${line#*:*:}
    HIERARCHY=${line%"$path"}
    case $HIERARCHY${path##*/} in "0::rune-$RUN_ID.scope" | *":name=systemd:rune-$RUN_ID.scope") ;; *) continue ;; esac
    for top in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
      SCOPE=$top$path
      [ -r "$SCOPE/cgroup.procs" ] || continue
      while read -r pid; do
        if [ "$pid" = "$PLUGIN" ]; then
          read_cgroup self
          OWN_CGROUP=$CGROUP
          shopt -s globstar
          return 0
        fi
      done <"$SCOPE/cgroup.procs"
    done
  done <"/proc/$PLUGIN/cgroup"
  return 1
}

# As look_for_left, and all of the scope. What has escaped and is in the cgroup of this process, or in another run's scope, is another
# run's; anywhere else systemd has put it, as for su, and it may be the plugin's.
look_in_scope() {
  local unsure pid file known
  look_for_left
  unsure=$UNSURE UNSURE='' known=" ${LEFT[*]} "
  for pid in $unsure; do
    read_cgroup "$pid"
    case $CGROUP in '' | "$OWN_CGROUP" | */rune-*.scope | */rune-*.scope/*) ;; *) UNSURE+="$pid " ;; esac
  done
  for file in "$SCOPE"/**/cgroup.procs; do
    while read -r pid; do
      case $known in *" $pid "*) continue ;; esac
      # A process that this one cannot see has the number 0.
      if [ "$pid" -gt 0 ]; then LEFT+=("$pid"); else UNSURE+="$pid "; fi
    done <"$file"
  done
}
