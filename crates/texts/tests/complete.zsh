# Prints what zsh offers for a line when Tab is pressed, each on a line. Arguments: the folder of the completions, the line.
zmodload zsh/zpty
zpty shell zsh -f -i
tell() { zpty -w shell "$1" }
tell "PROMPT= RPROMPT=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
# All that is offered goes through compadd. With -O, -A or -D nothing is offered yet.
tell 'compadd() {
    local -a found; local one
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        builtin compadd -A found "$@"
        for one in $found; do print -r -- "<<$one>>"; done
    fi
    builtin compadd "$@"
}'
# The marks are put together here, because the terminal shows the commands themselves too.
tell 'over() { print -r -- "<<"over">>" }; zle -N over; bindkey "^X" over; bindkey "^I" complete-word; print "<<"ready">>"'
zpty -r shell text '*<<ready>>*'
zpty -n -w shell "$2"$'\t\x18'
zpty -r shell text '*<<over>>*'
print -r -- "$text" | grep -o '<<[^>]*>>' | tr -d '<>' | grep -v '^over$'
zpty -d shell
