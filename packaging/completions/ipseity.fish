complete -c ipseity -l listen -d 'the address to listen on, or a name for all its addresses; port 0 picks a free port; may be repeated (default 127.0.0.1:3264)' -r -f
complete -c ipseity -l http -d 'the address on which to speak HTTP: metrics, health, status, a page for people, and identities for programs that have no other client; port 0 picks a free port; may be repeated (default no HTTP)' -r -f
complete -c ipseity -l http-name -d 'a name by which the server may be called in requests by HTTP, besides its addresses and localhost, such as id1.example; may be repeated' -r -f
complete -c ipseity -l advertise -d 'the address at which other servers and people reach this one; the other servers are told it' -r -f
complete -c ipseity -l peer -d 'another server to synchronize with, or a name that leads to several; with TLS it is dialed by TLS, unless plain:// stands before it; may be repeated' -r -f
complete -c ipseity -l peer-from -d 'an address or a network from which other servers may synchronize, besides this machine itself and the addresses of --peer; may be repeated' -r -f
complete -c ipseity -l pid -d 'this server\'s own number in its cluster, 0 to 1023; required with --peer and --peer-from, or --pid-from-hostname in its place; auto, with --store only, takes one that is free (default 0)' -r -f -a "auto\t''"
complete -c ipseity -l pid-range -d 'the lowest and the highest pid that --pid auto may take (default 0-1023)' -r -f
complete -c ipseity -l pid-base -d 'what is added to the number that --pid-from-hostname finds (default 0)' -r -f
complete -c ipseity -l cluster -d 'the name of the cluster; servers of other clusters are refused (default ipseity)' -r -f
complete -c ipseity -l sync-interval -d 'how often to ask the peers, such as 250ms or 2s; a bare number means milliseconds (default 1s)' -r -f
complete -c ipseity -l fanout -d 'how many peers to ask each time, chosen at random (default 32)' -r -f -a "all\t''"
complete -c ipseity -l data-dir -d 'the directory for the state of this server; made on the first start (default ipseity-data/PID)' -r -f -a "(__fish_complete_directories)"
complete -c ipseity -l store -d 'keep the state in etcd, in place of a directory: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for TLS; needs --pid, and --advertise if --listen is not an address that others can dial' -r -f
complete -c ipseity -l etcd-ca -d 'the CAs that have signed the certificate of etcd (PEM)' -r -F
complete -c ipseity -l etcd-cert -d 'the certificate that is shown to etcd (PEM)' -r -F
complete -c ipseity -l etcd-key -d 'the private key of that certificate (PEM)' -r -F
complete -c ipseity -l etcd-user -d 'a file whose one line is USER:PASSWORD, for an etcd that asks for them' -r -F
complete -c ipseity -l lease -d 'how long a pid stays taken in etcd by a server that gives no sign of life; a restart after a crash waits for it (default 1m)' -r -f
complete -c ipseity -l on-doubt -d 'what a server does when etcd has not confirmed its lease in time. wait: requests wait, so nothing is handed out out of order after another server has taken the pid; serve: it goes on with its reserve (default wait)' -r -f -a "wait\t''
serve\t''"
complete -c ipseity -l max-connections -d 'how many clients may be connected at once (default 10000)' -r -f
complete -c ipseity -l max-connections-per-address -d 'how many of them may come from one address (of IPv6: from one /64 network); this machine itself, --trust, --peer and --peer-from are exempt (default no limit)' -r -f
complete -c ipseity -l when-full -d 'refuse: refuse new clients while --max-connections are connected; close-idle: close the one that has been idle longest instead (default refuse)' -r -f -a "refuse\t''
close-idle\t''"
complete -c ipseity -l max-count -d 'how many identities one request may ask for (default 1000)' -r -f
complete -c ipseity -l max-advance -d 'how far a peer, or the `after` of a client, may raise the sequence at once (default 1099511627776)' -r -f
complete -c ipseity -l after-burst -d 'how far clients may raise the sequence with `after`, in all, before --advance-rate limits them (default 4294967296)' -r -f
complete -c ipseity -l peer-burst -d 'how far peers may raise the sequence, in all, before --advance-rate limits them (default 1099511627776)' -r -f
complete -c ipseity -l advance-rate -d 'how much of both bursts together is refilled each second (default 10000000)' -r -f
complete -c ipseity -l reserve -d 'how long a write to the store may take before clients have to wait for it, at the load of the last seconds; a crash skips what is kept ready for this (default 1s; with --store 1m)' -r -f
complete -c ipseity -l join -d 'a start asks its peers whether it may use its pid. prefer: it goes on without those that do not answer; require: one must accept it; majority: more than half of the other servers must (default prefer)' -r -f -a "prefer\t''
require\t''
majority\t''"
complete -c ipseity -l cluster-size -d 'how many servers the cluster has, this one included, 2 to 1024; --join=majority needs it and at least one --peer' -r -f
complete -c ipseity -l join-timeout -d 'how long a start waits for its peers; 0: it waits for none (default 12s)' -r -f
complete -c ipseity -l recover-above -d 'start above this sequence, after the state was lost or rolled back; with it you promise that this pid has handed out nothing above it' -r -f
complete -c ipseity -l trust -d 'an address or a network, besides this machine itself, from which `members --forget` and `advance` are accepted; may be repeated' -r -f
complete -c ipseity -l trust-loopback -d 'whether connections from this machine itself are trusted like --trust and --peer-from; no, if others use this machine or a proxy on it leads here (default yes)' -r -f -a "yes\t''
no\t''"
complete -c ipseity -l tls-cert -d 'offer TLS, with this certificate (PEM; the server\'s own first, then those between it and the CA); SIGHUP reads this and the next three files again' -r -F
complete -c ipseity -l tls-key -d 'the private key of the certificate (PEM)' -r -F
complete -c ipseity -l tls-client-ca -d 'clients must show a certificate that one of these CAs has signed (PEM)' -r -F
complete -c ipseity -l tls-peer-ca -d 'the CAs that have signed the certificates of the other servers (PEM); needed for --peer with TLS' -r -F
complete -c ipseity -l plain -d 'where connections without TLS are taken from, if TLS is offered (default loopback)' -r -f -a "never\t''
loopback\t''
any\t''"
complete -c ipseity -l max-pending-bytes -d 'how many bytes of replies may wait for a client that does not read them (default 262144)' -r -f
complete -c ipseity -l max-pending-bytes-total -d 'how many bytes of memory may hold replies that wait for clients, and records of TLS that are not complete; beyond it, clients are cut off, first those that have read nothing for longest, then those with the most waiting bytes (default 67108864)' -r -f
complete -c ipseity -l idle-timeout -d 'close a client that has been idle for this long; 0 means never (default 0)' -r -f
complete -c ipseity -l spin -d 'how long to look for the next request before the server sleeps: clients on other CPUs get their answers sooner, and it takes CPU time; it is done only while it mostly meets a request, and never with one CPU; auto is 50us (default auto)' -r -f -a "auto\t''
off\t''"
complete -c ipseity -l trace -d 'write a line to this file for every event and every effect; - means standard error' -r -F
complete -c ipseity -l log-level -d 'the lowest level to log (default info)' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c ipseity -l log-format -d 'how log lines look; with json each is one JSON object, which names its kind of event (default text)' -r -f -a "text\t''
json\t''"
complete -c ipseity -l pid-from-hostname -d 'the pid is the number at the end of the host name, as a StatefulSet of Kubernetes gives it: 3 on ipseity-3'
complete -c ipseity -l existing -d 'refuse to start if the state directory holds no state yet, or etcd nothing of the cluster'
complete -c ipseity -l allow-shared-dir -d 'accept a state directory to which everybody may write'
complete -c ipseity -l ephemeral -d 'keep nothing on the disk: after a restart the same identities are handed out again'
complete -c ipseity -l members-lost -d 'the list of members that was lost from the state directory will not come back; needed for one start only'
complete -c ipseity -l tls-recheck -d 'close connections whose certificate is not good any more, at SIGHUP and within ten minutes after it has expired'
complete -c ipseity -l check -d 'read the flags, variables, files and certificates, say what a server would do with them, and end; nothing is changed, and no port is opened'
complete -c ipseity -s h -l help -d 'show this text'
complete -c ipseity -s V -l version -d 'show the version'
