# Completion in fish: source this file in ~/.config/fish/config.fish.

set -g __galaxy_folder (path resolve (status dirname))
set -g __galaxy_commands (awk -F '\t' '$1 == "command" { print $2 }' $__galaxy_folder/table.tsv)

function __galaxy_words
    # The words before the cursor, without python
    set -l words (commandline -opc)
    string match -q -r '^python[0-9.]*$' -- (path basename -- $words[1]); and set -e words[1]
    printf '%s\n' $words
end

function __galaxy_is_script
    set -l words (__galaxy_words)
    set -q words[1]; and contains -- (path basename -- $words[1]) $__galaxy_commands
end

function __galaxy_propose
    set -l words (__galaxy_words)
    set -l last (commandline -ct)
    for line in (awk -f $__galaxy_folder/propose.awk $__galaxy_folder/table.tsv (path basename -- $words[1]) $words[2..] "$last")
        set -l head (string replace -r '^<\w+>' '' -- $line)
        set -l part (string sub -s (math (string length -- "$head") + 1) -- "$last")
        switch $line
            case '<file>*'
                __fish_complete_path "$part" '' | string replace -r '^' -- "$head"
            case '<folder>*'
                __fish_complete_directories "$part" '' | string replace -r '^' -- "$head"
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c python -c python3 -n __galaxy_is_script -f -a '(__galaxy_propose)'
for command in $__galaxy_commands
    complete -c $command -f -a '(__galaxy_propose)'
end
