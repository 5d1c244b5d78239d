# Completion of vmmu in bash: commands, their options, files. What there is, the tool's own --help says.
# shellcheck shell=bash

_vmmu_commands() {
    "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

# Options with an argument end in =.
_vmmu_options() {
    "$1" "$2" --help 2>/dev/null | sed -nE 's/^ +(-., )?(--[a-z][a-z0-9-]*(\[?=)?).*/\2/p' | sed 's/\[=$//' | sort -u
}

_vmmu() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local words=

    # "--option=VALUE" comes in three words.
    [ "$word" != = ] || { before='=' word=; }
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(_vmmu_commands "${COMP_WORDS[0]}")
    elif [ "$before" = '=' ] || [ "$before" = --color ]; then
        case ${COMP_WORDS[*]:COMP_CWORD-2:3} in *--color*) words='auto always never' ;; esac
    elif [[ $word == -* ]]; then
        words=$(_vmmu_options "${COMP_WORDS[0]}" "${COMP_WORDS[1]}")
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
    fi
    # No blank where a value follows.
    if [ ${#COMPREPLY[@]} -eq 1 ] && [[ ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -F _vmmu vmmu
