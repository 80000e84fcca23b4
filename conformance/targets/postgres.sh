#!/usr/bin/env bash
#
# Runs PostgreSQL, and the gateway that makes queues of it, as a target for the suite: gateways/supervise.sh
# says how it behaves. The database is new and empty, and its server listens on a socket in a folder of its
# own, on no port. It writes to disk before it answers, as PostgreSQL does unless told otherwise.
#
# What is missing is installed through apt-get (root only): Debian's `postgresql`. Where an init system is
# running, Debian starts a cluster of its own; this script does not touch it.

set -euo pipefail
name=postgres
source "$(dirname "${BASH_SOURCE[0]}")/gateways/supervise.sh"
broker_is_at=(bin home)

# A fast shutdown: it does not wait for its clients.
broker_quits_by=INT

# PostgreSQL refuses to run as root.
((EUID != 0)) || as_postgres=(--reuid postgres --regid postgres --init-groups)

binaries() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

start_broker() {
  local as_user=("${as_postgres[@]:---}")
  start broker INT "$bin/postgres" -D "$home/data" -k "$home/socket" -c listen_addresses= \
    -c logging_collector=off
}

broker_answers() { "$bin/pg_isready" -q -h "$home/socket" -U postgres; }

begin
[[ $(binaries) ]] || install postgres postgresql
bin=$(binaries)
[[ $bin ]] || die 'no server in /usr/lib/postgresql'
gateway postgres-gateway

mkdir data socket
chmod 755 "$home"
chmod 700 data socket
((EUID != 0)) || chown postgres: data socket
# Whoever reaches the socket is let in: its folder is its user's and root's.
setpriv "${as_postgres[@]:---}" "$bin/initdb" -D "$home/data" -U postgres --auth trust -E UTF8 \
  --locale C.UTF-8 </dev/null >>log 2>&1 3>&- || die 'could not make a database'
start_broker
supervise "$program" "host=$home/socket user=postgres dbname=postgres"
