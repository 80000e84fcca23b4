#!/usr/bin/env bash
#
# What a stress run does to the worker processes of the Zaqar that zaqar-redis.sh started.
#
#   kill       ends all of them at once, as a crash does; gunicorn starts others
#   await      returns when there are workers again
#   stop       lets them stand still
#   continue   lets them go on
#   restart    starts them anew in order: each answers what it has begun
#
#   NANSHE_PID   the process of zaqar-redis.sh

set -euo pipefail

await_secs_max=30

gunicorn=$(pgrep -P "$NANSHE_PID" -f gunicorn)
workers() { pgrep -P "$gunicorn"; }

case ${1:-} in
kill) workers | xargs kill -KILL ;;
stop) workers | xargs kill -STOP ;;
continue) workers | xargs kill -CONT ;;
restart) kill -HUP "$gunicorn" ;;
await)
  until workers >/dev/null; do
    ((SECONDS < await_secs_max)) || { echo "no worker within $await_secs_max s" >&2; exit 1; }
    sleep 0.1
  done
  ;;
*)
  echo "usage: $0 kill|await|stop|continue|restart" >&2
  exit 2
  ;;
esac
