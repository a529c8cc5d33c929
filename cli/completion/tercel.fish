# fish completion of tercel: commands and options are read from its own --help, files otherwise.
function __tercel_commands
    tercel --help 2>/dev/null | sed -n '/^[Ss]ubcommands:/,$ s/^  \([a-z][a-z-]*\) *\(.*\)/\1\t\2/p'
end
function __tercel_options
    set -l words (commandline -opc)
    set -l command
    test (count $words) -gt 1; and not string match -q -- '-*' $words[2]; and set command $words[2]
    tercel $command --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
end
complete -c tercel -n __fish_use_subcommand -f -a '(__tercel_commands)'
complete -c tercel -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__tercel_options)'
