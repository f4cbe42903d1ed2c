import { COMPLETE_COMMAND, type Shell } from '../commands/completion.js';

/** Line by which the hidden command says that file names fit too. No candidate starts with a colon. */
export const FILES_MARK = ':files';

const BASH = `# Completion of rune for bash: source <(rune completion bash)
_rune() {
  local current=\${COMP_WORDS[COMP_CWORD]} word
  COMPREPLY=()
  while IFS= read -r word; do
    if [[ $word == ${FILES_MARK} ]]; then
      compopt -o filenames 2>/dev/null || true
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
    elif [[ -n $word ]]; then
      COMPREPLY+=("$word")
    fi
  done < <("\${COMP_WORDS[0]}" ${COMPLETE_COMMAND} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _rune rune
`;

const ZSH = `#compdef rune
# Completion of rune for zsh: rune completion zsh > "\${fpath[1]}/_rune"
_rune() {
  local -a found
  found=("\${(@f)$("\${words[1]}" ${COMPLETE_COMMAND} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( \${found[(Ie)${FILES_MARK}]} )); then
    _files
  else
    compadd -- "\${(@)found:#}"
  fi
}
if [ "\${funcstack[1]}" = "_rune" ]; then
  _rune "$@"
else
  compdef _rune rune
fi
`;

/** The completion script of a shell. It asks rune itself for candidates, so it never goes out of date. */
export function completionScript(shell: Shell): string {
  return shell === 'bash' ? BASH : ZSH;
}
