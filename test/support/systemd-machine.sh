#!/bin/bash
# Runs the systemd of this machine as the init of namespaces of its own, with a file system, an empty set of units and a part of the
# cgroup tree of its own, so that it touches nothing of this machine. As root.
#   systemd-machine.sh unified|hybrid EMPTY_DIRECTORY
# Prints the init's process id and goes on until its standard input ends. Ends with 77 where the kernel refuses it.
set -eu

layout=$1 root=$2 stage=${3-outside} name=rune-test-$$
self=$(readlink -f -- "$0")

refused() {
  echo "$1" >&2
  exit 77
}

mounted() { mount "$@" || refused "the kernel refuses: mount $*"; }

# Hides the file systems of this machine, but for a mount namespace that only this script is in.
outside() {
  unshare --mount --pid --cgroup --uts --ipc --net --fork true || refused 'the kernel gives no namespaces'
  exec unshare --mount --propagation private bash "$self" "$layout" "$root" keep
}

# Stays outside of the machine: gives it a part of the cgroup tree, and takes it back.
keep() {
  local tree trees=cgroup2 machine watcher status=0 round=0
  mounted -t tmpfs -o mode=755 tmpfs "$root"
  mkdir "$root/cgroup2" "$root/machine"
  mounted -t tmpfs -o mode=755 tmpfs "$root/machine"
  mounted -t cgroup2 none "$root/cgroup2"
  if [ "$layout" = hybrid ]; then
    # Not where it would make such a hierarchy, which every process of this machine would be in.
    grep -q :name=systemd: /proc/self/cgroup || refused 'this machine has no hierarchy name=systemd'
    trees="$trees systemd"
    mkdir "$root/systemd"
    mounted -t cgroup -o none,name=systemd none "$root/systemd"
  fi
  for tree in $trees; do
    mkdir "$root/$tree/$name" || refused 'the cgroup tree cannot be changed'
  done
  exec 3<&0
  (
    for tree in $trees; do echo "$BASHPID" >"$root/$tree/$name/cgroup.procs"; done
    exec unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child bash "$self" "$layout" "$root" inside </dev/null 3<&-
  ) &
  machine=$!
  # Until whoever started this is done with it, or dead.
  { read -r _ <&3 || pkill -KILL -P "$machine"; } >/dev/null &
  watcher=$!
  wait "$machine" || status=$?
  kill "$watcher" || :
  for tree in $trees; do
    until find "$root/$tree/$name" -depth -type d -exec rmdir {} +; do
      round=$((round + 1))
      [ "$round" -lt 100 ] || exit 1
      sleep 0.05
    done 2>/dev/null
  done
  exit "$status"
}

# A file system of /usr and little else, nothing of which can be changed but what is in memory; then systemd itself.
inside() {
  local directory device
  # As /proc of this machine has it.
  read -r pid _ </proc/self/stat
  cd "$root/machine"
  mkdir proc sys dev run tmp var root usr old etc
  for directory in bin sbin lib lib64; do
    if [ -L "/$directory" ]; then
      cp -a "/$directory" "$directory"
    elif [ -d "/$directory" ]; then
      mkdir "$directory"
      mounted --bind "/$directory" "$directory"
      mounted -o remount,bind,ro "$directory"
    fi
  done
  mounted --bind /usr usr
  mounted -o remount,bind,ro usr
  for directory in tmp run var usr/lib/systemd/system usr/lib/systemd/system-generators; do
    mounted -t tmpfs -o mode=755 tmpfs "$directory"
  done
  chmod 1777 tmp
  mounted -t proc proc proc
  mounted --bind proc/sys proc/sys
  mounted -o remount,bind,ro proc/sys
  mounted -t tmpfs -o mode=755 tmpfs sys
  mkdir -p sys/fs/cgroup
  if [ "$layout" = hybrid ]; then
    # A mount of its own, by which systemd knows the layout; read-only, so that it mounts no controller of this machine.
    mounted -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/unified sys/fs/cgroup/systemd
    mounted -t cgroup2 none sys/fs/cgroup/unified
    mounted -t cgroup -o none,name=systemd none sys/fs/cgroup/systemd
    mounted -o remount,ro sys/fs/cgroup
  else
    mounted -t cgroup2 none sys/fs/cgroup
  fi
  mounted -o remount,ro sys
  mounted -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm
  for device in null zero full random urandom tty; do
    : >"dev/$device"
    mounted --bind "/dev/$device" "dev/$device"
  done
  mounted -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s null dev/console
  ln -s /proc/self/fd dev/fd
  cp /etc/passwd /etc/group /etc/ld.so.cache etc/
  cp -r "${self%/*}/../fixtures/systemd-machine" etc/systemd
  echo 0123456789abcdef0123456789abcdef >etc/machine-id
  pivot_root . old
  umount -l old
  echo "$pid"
  exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --system --unit=rune.target \
    --log-target=null --show-status=no
}

"$stage"
