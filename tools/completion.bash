# Completion of vmmu in bash: commands, their options, files. What there is, the tool's own --help says.
# shellcheck shell=bash

_vmmu_commands() {
    "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

# Options with an argument end in =.
_vmmu_options() {
    "$1" "$2" --help 2>/dev/null | sed -nE 's/^ +(-., )?(--[a-z][a-z0-9-]*(\[?=)?).*/\2/p' | sed 's/\[=$//' | sort -u
}

# The words that an option takes.
_vmmu_values() {
    case $1 in
    --color) echo auto always never ;;
    --mode) echo none 32bit pae 4level 5level ;;
    --format) if [ "$2" = sim ]; then echo lackey binary hypervisor; else echo guess raw elf kdump vmmu live; fi ;;
    --nested-levels|--levels) echo 4 5 ;;
    --technique) echo native shadow nested ;;
    --vpid) echo off on roots ;;
    --pcid|--upper) echo off on ;;
    --page|--host-page) echo 4k 2m 1g ;;
    --tlb) echo skylake haswell tiny ;;
    --faults) echo exit silent ;;
    esac
}

_vmmu() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local words=

    # "--option=VALUE" comes in three words.
    [ "$word" != = ] || { before='=' word=; }
    local option=$before
    [ "$before" != = ] || option=${COMP_WORDS[COMP_CWORD - 2]}
    [ "${COMP_WORDS[COMP_CWORD]}" != = ] || option=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(_vmmu_commands "${COMP_WORDS[0]}")
    elif [[ $option == --* && -n $(_vmmu_values "$option" "${COMP_WORDS[1]}") ]]; then
        words=$(_vmmu_values "$option" "${COMP_WORDS[1]}")
    elif [ "${COMP_WORDS[1]}" = live ] && [ "$COMP_CWORD" -eq 3 ] && [[ $word != -* ]]; then
        words='stop go dump walk maps explain check tlb'
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
