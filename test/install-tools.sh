#!/bin/sh
# Fetches what the tests of deploy/ need and Debian does not have: the JSON schema of compose files. It comes from a package of npm's
# registry, checked by its SHA-512; what is there already stays.
set -eu

tools=${XDG_CACHE_HOME:-$HOME/.cache}/rune-test-tools
mkdir -p "$tools"
work=$(mktemp -d "$tools/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

unpack() { # PACKAGE@VERSION SHA512 FILE-IN-PACKAGE; leaves the file's path in $file
  (cd "$work" && npm pack --silent --prefer-offline "$1" >tarball)
  tarball=$work/$(cat "$work/tarball")
  echo "$2  $tarball" | sha512sum --quiet -c -
  tar -xzf "$tarball" -C "$work" "package/$3"
  file=$work/package/$3
}

if [ ! -f "$tools/compose-3.1.0.schema.json" ]; then
  unpack dclint@3.1.0 \
    69f4c67734455172b8c82a488845bf2ce47ef5338c10384d95d0e9e7a5425b39fb243983e39d4f7148bae3418694c1e06c7289d74ac3066e0fb697016e3aa55f schemas/compose.schema.json
  mv "$file" "$tools/compose-3.1.0.schema.json"
fi
