# Completion in bash: source this file in ~/.bashrc.

_galaxy_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

_galaxy_complete() {
    local IFS=$' \t\n' rest=${COMP_LINE:0:COMP_POINT} words=() number piece blanks last cut="" mark line head
    # Bash also splits words at = : and @, and replaces only what begins after the last of these, or with the last @.
    for ((number = 0; number <= COMP_CWORD; number++)); do
        blanks=${rest%%[![:space:]]*}
        rest=${rest#"$blanks"}
        piece=${COMP_WORDS[number]}
        ((number < COMP_CWORD)) || piece=$rest
        rest=${rest#"$piece"}
        if [[ ${#words[@]} -eq 0 || -n $blanks ]]; then words+=("$piece"); else words[${#words[@]} - 1]+=$piece; fi
    done
    last=${words[${#words[@]} - 1]}
    if [[ $last == [\"\']* ]]; then
        last=${last#?}
        words[${#words[@]} - 1]=$last
    else
        for mark in = : @; do
            [[ $COMP_WORDBREAKS == *"$mark"* && $last == *"$mark"* ]] || continue
            head=${last%"$mark"*}${mark#@}
            ((${#head} <= ${#cut})) || cut=$head
        done
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        "<file>"* | "<folder>"*)
            compopt -o filenames 2>/dev/null
            head=${line#*>}
            mark=-f
            [[ $line == "<file>"* ]] || mark=-d
            while IFS= read -r line; do COMPREPLY+=("${head#"$cut"}$line"); done < <(compgen "$mark" -- "${last#"$head"}") ;;
        *)
            line=${line%%$'\t'*}
            COMPREPLY+=("${line#"$cut"}") ;;
        esac
    done < <(awk -f "$_galaxy_folder/propose.awk" "$_galaxy_folder/table.tsv" "${words[0]##*/}" "${words[@]:1}")
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *[/=] ]] || compopt -o nospace 2>/dev/null
}

complete -F _galaxy_complete $(awk -F '\t' '$1 == "command" { print $2 }' "$_galaxy_folder/table.tsv")
