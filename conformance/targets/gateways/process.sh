#!/usr/bin/env bash
#
# What a stress run does to the processes that postgres.sh or beanstalkd.sh started.
#
#   process.sh gateway|broker kill|start|stop|continue|restart
#
#   kill       ends it and its children at once, as a crash does
#   start      starts it again, and returns once it answers
#   stop       lets it stand still
#   continue   lets it go on
#   restart    ends it in order and starts it anew
#
#   NANSHE_PID   the process of the start script

set -euo pipefail

answer_secs_max=30

child=${1:-}
cd "/proc/$NANSHE_PID/cwd"
[[ -e $child.pid ]] || { echo "usage: $0 gateway|broker kill|start|stop|continue|restart" >&2; exit 2; }
source ./answers

pid=$(<"$child.pid")
# With its children: PostgreSQL's lead sessions of their own.
each() { kill "-$1" "$pid" $(pgrep -P "$pid"); }

# Waits until there is another process, and it answers.
await() {
  until [[ $(<"$child.pid") != "$pid" ]] && "${child}_answers"; do
    ((SECONDS < answer_secs_max)) || { echo "no $child within $answer_secs_max s" >&2; exit 1; }
    sleep 0.05
  done
}

case ${2:-} in
kill)
  : >"$child.down"
  each KILL
  ;;
start)
  mv "$child.down" "$child.again"
  await
  ;;
stop) each STOP ;;
continue) each CONT ;;
restart)
  signal=TERM
  [[ $child == gateway ]] || signal=$broker_quits_by
  : >"$child.again"
  kill "-$signal" "$pid"
  await
  ;;
*)
  echo "usage: $0 gateway|broker kill|start|stop|continue|restart" >&2
  exit 2
  ;;
esac
