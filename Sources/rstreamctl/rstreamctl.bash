# SPDX-License-Identifier: Apache-2.0
# Completion of rstreamctl for bash. Commands and options are those that the installed rstreamctl tells about itself.

_rstreamctl_help() {
  rstreamctl "$@" --help 2>/dev/null
}

_rstreamctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  local words argument=
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ] || { [ "$COMP_CWORD" = 2 ] && [ "$command" = help ]; }; then
    words="$(_rstreamctl_help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')"
    [ "$COMP_CWORD" = 2 ] || words+=" help --help --version"
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  # What follows the option before the cursor in its command's help is what it wants: "--ca-file FILE".
  case $previous in
    --*) argument=$(_rstreamctl_help "$command" | awk -v option="$previous" '$1 == option && /^  [^ ]+ [^ ]/ { print $2 }') ;;
  esac
  case $previous:$argument in
    --protocol:*) words="http tls tcp dtls quic" ;;
    --tls-mode:*) words="terminated passthrough" ;;
    --http-version:*) words="http/1.1" ;;
    *:FILE)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      compopt -o filenames 2>/dev/null
      return
      ;;
    *:DIR)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      compopt -o filenames 2>/dev/null
      return
      ;;
    *:?*) return ;;
    *)
      words=$(_rstreamctl_help "$command" | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
      # The first line tells what a command chooses from: <list|show|use>.
      [ "$COMP_CWORD" != 2 ] || words+=" $(_rstreamctl_help "$command" | sed -n '1s/.*<\([a-z|]*|[a-z]*\)>.*/\1/p' | tr '|' ' ')"
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _rstreamctl rstreamctl
