# shellcheck shell=bash
# Which authorities npm trusts. Sourced. Node.js knows its own only; a network that has another one has it among the system's.
system=/etc/ssl/certs/ca-certificates.crt
[ ! -e "$system" ] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$system}
unset system
