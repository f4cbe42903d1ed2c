# shellcheck shell=bash
# What a command of Systems Manager for many instances does on each of them first: it picks the run of this one, and gives it to
# on-node.sh as if the command were for it alone. Comment lines and indentation are taken out before it is sent, and what is left
# may hold no single quote. $0 is the path of the script, $1 is on-node.sh.
#
# stdin: the rest of the line that on-node.sh reads first; its second line; a line SHARED_AT SHARED; for each run a line
# RUN_ID NONCE TOKEN INSTANCE HEAD_AT HEAD INPUT_AT INPUT; an empty line; then, compressed and in base64, what the uploads of all
# runs are made of: each part is found by where it begins and how many bytes it has.

IFS= read -r ROOMS
IFS= read -r COMMAND
IFS=" " read -r SHARED_AT SHARED
MINE=
while IFS=" " read -r RUN_ID NONCE TOKEN INSTANCE HEAD_AT HEAD INPUT_AT INPUT && [ -n "$RUN_ID" ]; do
  [ "$INSTANCE" != "${AWS_SSM_INSTANCE_ID-}" ] ||
    MINE="$RUN_ID $NONCE $TOKEN" MY_HEAD_AT=$HEAD_AT MY_HEAD=$HEAD MY_INPUT_AT=$INPUT_AT MY_INPUT=$INPUT
done
[ -n "$MINE" ] || { echo "RUNE-SSM - unable AWS_SSM_INSTANCE_ID" && exit 0; }
UPLOADS=$(cat)

# From so many bytes on, so many. Each part is unpacked anew: what one program reads beyond its part, no other one would get.
part() { printf "%s\n" "$UPLOADS" | base64 -d | gzip -dc | tail -c "+$(($1 + 1))" | head -c "$2"; }

{
  printf "%s\n" "$MINE $ROOMS" "$COMMAND"
  {
    part "$MY_HEAD_AT" "$MY_HEAD"
    part "$SHARED_AT" "$SHARED"
    part "$MY_INPUT_AT" "$MY_INPUT"
  } | gzip -c | base64
} 2>/dev/null | bash --noprofile --norc -p -c "$1" "$0"
exit 0
