#!/usr/bin/env bash
#
# Runs beanstalkd, and the gateway that makes queues of it, as a target for the suite: gateways/supervise.sh
# says how it behaves. beanstalkd listens on loopback, on a port of its own.
#
#   BINLOG   a write-ahead log is kept in the run's folder (`yes`, the default), or everything is in memory
#            and lost with the process (`no`)
#
# What is missing is installed through apt-get (root only): Debian's `beanstalkd`. Where an init system is
# running, Debian starts a service of its own; this script does not touch it.

set -euo pipefail
name=beanstalkd
source "$(dirname "${BASH_SOURCE[0]}")/gateways/supervise.sh"
broker_is_at=(port)

# The longest job: more than any body that a post may have.
job_bytes_max=524288

start_broker() {
  local log=()
  [[ ${BINLOG:-yes} == no ]] || log=(-b "$home/binlog")
  start broker TERM beanstalkd -l 127.0.0.1 -p "$port" -z $job_bytes_max "${log[@]}"
}

broker_answers() { : 2>/dev/null <"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null

begin
install beanstalkd beanstalkd
gateway beanstalkd-gateway
mkdir binlog
# A claim is a connection.
ulimit -n "$(ulimit -H -n)"

# Only binding a port tells that it is free; these are below those the kernel hands out.
for _ in {1..20}; do
  port=$((20000 + RANDOM % 10000))
  start_broker
  pause 0.3
  ! alive "${pids[broker]}" || break
done
supervise "$program" "127.0.0.1:$port"
