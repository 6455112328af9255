# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ipseity_cli_global_optspecs
    string join \n s/server= cluster= tls-ca= tls-cert= tls-key= timeout= color= h/help V/version
end

function __fish_ipseity_cli_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ipseity_cli_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ipseity_cli_using_subcommand
    set -l cmd (__fish_ipseity_cli_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "next" -d 'Get identities, one a line; each is greater than the one before'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "status" -d 'Show how each server is doing, and what it knows of its peers'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "decode" -d 'Show an identity in all its forms, without asking a server'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "ping" -d 'Measure how long each server takes to answer'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "watch" -d 'Watch servers side by side until Ctrl-C'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "members" -d 'Show which other servers each server knows, or make it forget one'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "advance" -d 'Make one server go on above a sequence'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "pids" -d 'Show the pids of servers whose state is in etcd, and manage them'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "cert" -d 'Make a CA and certificates for TLS, and show them'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "bench" -d 'Measure how much a server can do, and check every identity'
complete -c ipseity-cli -n "__fish_ipseity_cli_needs_command" -f -a "help" -d 'show the help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -s n -d 'how many identities (default: 1)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l after -d 'get only identities greater than this one: 1025, 0x401 or 1:1' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l as -d 'how an identity is written (default: decimal)' -r -f -a "decimal\t''
hex\t''
pair\t''
base32\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand next" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -l check -d 'write one short line for each server, for a health check that looks at the exit code'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand status" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -l as -d 'how an identity is written (default: decimal)' -r -f -a "decimal\t''
hex\t''
pair\t''
base32\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -l base32 -d 'read base32, also where there are only digits'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand decode" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -s n -d 'how many round trips, one after the other (default: 1)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l wait -d 'first wait until every server hands out identities, for at most this long: 10s, 1m' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand ping" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -s n -d 'end after this many rounds' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l interval -d 'the time between two rounds: 250ms, 2s; a bare number means milliseconds (default: 1s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand watch" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l forget -d 'make each server forget this pid, and show the last sequence that it knew of it' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -l never-served -d 'with --forget: forget only starts that claimed this pid, or any if none is named, and never served'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand members" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l above -d 'the sequence; required' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l cluster -d 'the cluster that the servers must be of; one of another cluster is refused (default: any)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -l yes -d 'allow a jump of more than the --max-advance of the server'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand advance" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l store -d 'where etcd is: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS (default: $IPSEITY_STORE)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l etcd-ca -d 'the CAs that have signed the certificate of etcd, PEM (default: $IPSEITY_ETCD_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l etcd-cert -d 'the certificate that is shown to etcd, PEM (default: $IPSEITY_ETCD_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l etcd-key -d 'the private key of that certificate, PEM (default: $IPSEITY_ETCD_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l etcd-user -d 'a file whose one line is USER:PASSWORD, for an etcd that asks for them (default: $IPSEITY_ETCD_USER)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l data-dir -d 'import: the state directory' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l above -d 'epoch: the sequence above which all pids begin' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l cluster -d 'the cluster whose pids are meant (default: $IPSEITY_CLUSTER, or ipseity; for import the one of the directory)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l new-cluster -d 'import: make the cluster, if nothing is there of it yet'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l yes -d 'epoch: all servers that use this etcd are stopped'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -f -a "list"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -f -a "import"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and not __fish_seen_subcommand_from list import epoch" -f -a "epoch"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l store -d 'where etcd is: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS (default: $IPSEITY_STORE)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l etcd-ca -d 'the CAs that have signed the certificate of etcd, PEM (default: $IPSEITY_ETCD_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l etcd-cert -d 'the certificate that is shown to etcd, PEM (default: $IPSEITY_ETCD_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l etcd-key -d 'the private key of that certificate, PEM (default: $IPSEITY_ETCD_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l etcd-user -d 'a file whose one line is USER:PASSWORD, for an etcd that asks for them (default: $IPSEITY_ETCD_USER)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l data-dir -d 'import: the state directory' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l above -d 'epoch: the sequence above which all pids begin' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l cluster -d 'the cluster whose pids are meant (default: $IPSEITY_CLUSTER, or ipseity; for import the one of the directory)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l new-cluster -d 'import: make the cluster, if nothing is there of it yet'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l yes -d 'epoch: all servers that use this etcd are stopped'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from list" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l store -d 'where etcd is: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS (default: $IPSEITY_STORE)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l etcd-ca -d 'the CAs that have signed the certificate of etcd, PEM (default: $IPSEITY_ETCD_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l etcd-cert -d 'the certificate that is shown to etcd, PEM (default: $IPSEITY_ETCD_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l etcd-key -d 'the private key of that certificate, PEM (default: $IPSEITY_ETCD_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l etcd-user -d 'a file whose one line is USER:PASSWORD, for an etcd that asks for them (default: $IPSEITY_ETCD_USER)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l data-dir -d 'import: the state directory' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l above -d 'epoch: the sequence above which all pids begin' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l cluster -d 'the cluster whose pids are meant (default: $IPSEITY_CLUSTER, or ipseity; for import the one of the directory)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l new-cluster -d 'import: make the cluster, if nothing is there of it yet'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l yes -d 'epoch: all servers that use this etcd are stopped'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from import" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l store -d 'where etcd is: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS (default: $IPSEITY_STORE)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l etcd-ca -d 'the CAs that have signed the certificate of etcd, PEM (default: $IPSEITY_ETCD_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l etcd-cert -d 'the certificate that is shown to etcd, PEM (default: $IPSEITY_ETCD_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l etcd-key -d 'the private key of that certificate, PEM (default: $IPSEITY_ETCD_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l etcd-user -d 'a file whose one line is USER:PASSWORD, for an etcd that asks for them (default: $IPSEITY_ETCD_USER)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l data-dir -d 'import: the state directory' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l above -d 'epoch: the sequence above which all pids begin' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l cluster -d 'the cluster whose pids are meant (default: $IPSEITY_CLUSTER, or ipseity; for import the one of the directory)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l new-cluster -d 'import: make the cluster, if nothing is there of it yet'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l yes -d 'epoch: all servers that use this etcd are stopped'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand pids; and __fish_seen_subcommand_from epoch" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "ca"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "server"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "peer"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "client"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "operator"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and not __fish_seen_subcommand_from ca server peer client operator show" -f -a "show"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from ca" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from server" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from peer" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from client" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from operator" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l dir -d 'the directory of the CA and of what is made (default: the current one)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l days -d 'how long it is valid (default: 3650 for a CA, 365 for a certificate)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l out -d 'the name of the files that are made, without a directory, .pem and .key (default: the first NAME)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l format -d 'the shape of the output of show (default: text)' -r -f -a "text\t''
json\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l force -d 'replace a certificate and its key that exist; with --drop-old, do so although certificates of the old CA are in the directory'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l rotate -d 'put a new CA before the one that exists'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l drop-old -d 'remove all CAs from ca.pem but the newest'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -l json -d 'the same as --format json'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand cert; and __fish_seen_subcommand_from show" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s c -d 'how many connections (default: 50)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s P -d 'how many requests each connection keeps in flight (default: 1)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s n -d 'how many requests to send, in place of --duration' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l duration -d 'how long to send: 250ms, 2s; a bare number means milliseconds (default: 5s, with --sweep 1s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l count -d 'how many identities to ask for in each request (default: 1)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l rate -d 'send this many requests a second in all, whether or not they are answered (an open loop); latency then begins when a request should have been sent' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l warmup -d 'send for this long before measuring begins (default: 0)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l rounds -d 'how many times to measure (default: 1)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l sweep -d 'measure with each of these numbers of connections: 1..42, or 1,10,100..105' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l plot -d 'draw the sweep into this file, as SVG' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l format -d 'the shape of the output (default: text)' -r -f -a "text\t''
json\t''
csv\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l target -d 'measure another server than Ipseity: redis://HOST[:PORT] (INCR), memcached://HOST[:PORT] (incr), or raw://HOST[:PORT], which answers each request with any 15 bytes' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l process -d 'also measure the processor time of this process, by its id on this machine; may be repeated' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s s -l server -d 'a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; all addresses of a name are tried, and the first that accepts is asked (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l tls-ca -d 'the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l tls-cert -d 'the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l tls-key -d 'the private key of that certificate (default: $IPSEITY_TLS_KEY)' -r -F
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l timeout -d 'how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a bare number means milliseconds (default: 2s and 5s)' -r -f
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -l color -d 'whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s h -l help -d 'show this help, or that of a command'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand bench" -s V -l version -d 'show the version'
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "next"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "status"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "decode"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "ping"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "watch"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "members"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "advance"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "pids"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "cert"
complete -c ipseity-cli -n "__fish_ipseity_cli_using_subcommand help; and not __fish_seen_subcommand_from next status decode ping watch members advance pids cert bench" -f -a "bench"
