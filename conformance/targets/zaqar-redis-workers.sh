#!/usr/bin/env bash
#
# What a stress run does to the worker processes of the Zaqar that zaqar-redis.sh started, and to its Redis.
#
#   kill       ends all of them at once, as a crash does; gunicorn starts others
#   await      returns when there are workers again
#   stop       lets them stand still
#   continue   lets them go on
#   restart    starts them anew in order: each answers what it has begun
#   kill-redis   ends Redis at once, as a crash of the process does, where PERSISTENCE has it started again
#   await-redis  returns when it answers again, with what it kept
#
#   NANSHE_PID   the process of zaqar-redis.sh

set -euo pipefail

await_secs_max=30

gunicorn=$(pgrep -P "$NANSHE_PID" -f gunicorn)
workers() { pgrep -P "$gunicorn"; }
again() { pgrep -P "$NANSHE_PID" -f 'again redis-server'; }
redis() { pgrep -P "$(again)" -x redis-server; }
# It answers PONG while it has everything, LOADING before.
pong() { [[ $(redis-cli -p "$(again | xargs ps -o args= -p | grep -o -- '--port [0-9]*' | cut -d ' ' -f 2)" PING) == PONG ]]; } 2>/dev/null

case ${1:-} in
kill) workers | xargs kill -KILL ;;
stop) workers | xargs kill -STOP ;;
continue) workers | xargs kill -CONT ;;
restart) kill -HUP "$gunicorn" ;;
kill-redis) kill -KILL "$(redis)" ;;
await-redis)
  until pong; do
    ((SECONDS < await_secs_max)) || { echo "no Redis within $await_secs_max s" >&2; exit 1; }
    sleep 0.1
  done
  ;;
await)
  until workers >/dev/null; do
    ((SECONDS < await_secs_max)) || { echo "no worker within $await_secs_max s" >&2; exit 1; }
    sleep 0.1
  done
  ;;
*)
  echo "usage: $0 kill|await|stop|continue|restart|kill-redis|await-redis" >&2
  exit 2
  ;;
esac
