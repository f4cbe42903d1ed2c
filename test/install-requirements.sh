#!/bin/sh
# Makes sure that the Debian packages are there which the tests run against: a real sshd, a real PostgreSQL, a real
# Kerberos, a real Python client, shellcheck.
# As root it installs what is missing; otherwise it names it and fails. With arguments, only of those packages.
set -eu

wanted=" $* "
missing=
need() { # PACKAGE TEST-COMMAND...
  package=$1
  shift
  case $wanted in "  " | *" $package "*) ;; *) return 0 ;; esac
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

need openssh-server test -x /usr/sbin/sshd
need openssh-client command -v ssh-keygen
need procps command -v ps
need monitoring-plugins-basic test -x /usr/lib/nagios/plugins/check_load
need sudo command -v sudo
need opendoas command -v doas
need fish command -v fish
need tcsh command -v tcsh
need zsh command -v zsh
need shellcheck command -v shellcheck
need perl /usr/bin/perl -MJSON::PP -e 1
need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
need python3-grpcio /usr/bin/python3 -c 'import grpc'
need krb5-kdc test -x /usr/sbin/krb5kdc
need krb5-admin-server test -x /usr/sbin/kadmin.local
need krb5-user command -v kinit
need unzip command -v unzip
need systemd command -v systemd-analyze
need python3-grpc-tools /usr/bin/python3 -c 'import grpc_tools'

[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing Debian packages:$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # The tests start servers of their own: the package shall make and start none.
  no_cluster=/etc/postgresql-common/createcluster.d/rune-tests.conf
  mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = off' >"$no_cluster"
  trap 'rm -f "$no_cluster"' EXIT
  # shellcheck disable=SC2086 # a list of package names
  if { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
else
  echo "The tests need these Debian packages: apt-get install$missing" >&2
  exit 1
fi
