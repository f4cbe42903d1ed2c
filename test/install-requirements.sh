#!/bin/sh
# Makes sure that the Debian packages are there which the tests run against: a real sshd, a real PostgreSQL, a real
# Kerberos, a FIDO authenticator in software, a real Python client, shellcheck.
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
need iproute2 command -v ip
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
need dbus command -v dbus-daemon
need python3-grpc-tools /usr/bin/python3 -c 'import grpc_tools'
# FIDO in software. As root only this one file is unpacked: the package as a whole brings a Python framework along.
authenticator=usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so
need openssh-tests test -f "/$authenticator"

[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "The tests need these Debian packages: apt-get install$missing" >&2
  exit 1
fi

echo "installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
# The tests start servers of their own: the package shall make and start none.
no_cluster=/etc/postgresql-common/createcluster.d/rune-tests.conf
trap 'rm -rf "$work" "$no_cluster"' EXIT
mkdir -p "${no_cluster%/*}"
echo 'create_main_cluster = off' >"$no_cluster"

quietly() { # COMMAND...; its words count only if it fails
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && exit 1; }
}

install_authenticator() {
  cd "$work"
  quietly apt-get download -o APT::Sandbox::User=root openssh-tests
  quietly dpkg-deb --extract openssh-tests_*.deb .
  mkdir -p "/${authenticator%/*}"
  cp "$authenticator" "/$authenticator"
}

packages=
for package in $missing; do
  [ "$package" = openssh-tests ] || packages="$packages $package"
done
quietly apt-get update
# shellcheck disable=SC2086 # a list of package names
[ -z "$packages" ] || quietly apt-get install -y --no-install-recommends $packages
case $missing in *" openssh-tests"*) install_authenticator ;; esac
