# bash completion of tercel: commands and options are read from its own --help, files otherwise.
_tercel() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
  local command='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
  done
  COMPREPLY=()
  if [[ -z $command && $word != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null |
      sed -n '/^Subcommands:/I,$ s/^  \([a-z][a-z-]*\).*/\1/p')" -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" ${command:+"$command"} --help 2>/dev/null |
      grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)" -- "$word")
  elif [[ $previous == --dtype ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'f32 f16 bf16 int8 int4 f8e4m3fn auto' -- "$word")
  elif [[ $command == predict && $previous == --task ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'question-answering text-classification token-classification embedding tensors' -- "$word")
  elif [[ $command == predict && $previous == --format ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'jsonl csv tsv text squad npy' -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -o filenames -F _tercel tercel
