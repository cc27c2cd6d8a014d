# Completion in zsh: source this file in ~/.zshrc, after compinit.

_galaxy_folder=${${(%):-%x}:A:h}
_galaxy_commands=(${(f)"$(awk -F '\t' '$1 == "command" { print $2 }' $_galaxy_folder/table.tsv)"})

_galaxy() {
    local last=${(Q)PREFIX} line head found=1
    local -a proposals open paths
    proposals=("${(@f)$(awk -f $_galaxy_folder/propose.awk $_galaxy_folder/table.tsv ${words[1]:t} \
        "${(@Q)words[2,CURRENT-1]}" "$last")}")
    paths=(${(M)proposals:#<(file|folder)>*})
    proposals=(${${(M)proposals:#[^<]*}//:/\\:})
    open=(${(M)proposals:#*[/=]$'\t'*})
    proposals=(${proposals:#*[/=]$'\t'*})
    open=(${${open/%$'\t'/}/$'\t'/:})
    proposals=(${${proposals/%$'\t'/}/$'\t'/:})
    _describe -V word open -S '' -- proposals && found=0
    for line in $paths; do
        head=${line#*>}
        compset -p $#head
        if [[ $line == "<file>"* ]]; then _files && found=0; else _files -/ && found=0; fi
    done
    return found
}

# python x.py ..., as in a checkout
_galaxy_python() {
    if ((CURRENT > 2)) && [[ -n ${(M)_galaxy_commands:#${words[2]:t}} ]]; then
        shift words
        ((CURRENT--))
        _galaxy
    else
        _python
    fi
}

compdef _galaxy $_galaxy_commands
compdef _galaxy_python python python3
