#!/usr/bin/env bash
#
# Runs a real Zaqar 23.0.1 on Redis, on loopback, in the foreground, as a target for the suite.
#
#   stdin    the lease of life: when it ends, everything is stopped. Its content is ignored.
#   stdout   one line, once the service answers: `ready http://127.0.0.1:PORT`, and behind it without pools
#            the address of its WebSocket, and with pools a URI that more of them may be made of, `{}`
#            standing for a number. Never anything else.
#   stderr   progress and errors.
#   exit     0 after the end of stdin, SIGTERM, SIGINT or SIGHUP, whether or not it was ready;
#            1 if the service could not be installed or started, or ended by itself.
#
#   WORKERS       processes that serve requests (default 2)
#   POOLS         how many pools there are, 9 at most (default 0: pooling is off). Each is a Redis
#                 database of its own, named pool-1, pool-2, …; the catalogue is in
#                 SQLite. Databases 10 to 19, 110 to 199 and so on are spare: for pools
#                 that somebody adds.
#   PERSISTENCE   no, everysec or always: what Redis keeps when it is killed, and that it is started again
#                 then (default: none, and its end is the end of all)
#   NANSHE_VENV   where the Python packages live (default: .venv/zaqar-23.0.1 below the repository)
#
# Every run has its own ports, its own empty Redis, and its own folder for
# configuration and logs. On the way out, the processes are stopped and the folder is removed.
# After a SIGKILL of this script the kernel ends the processes, and only the folder remains.
#
# The first run installs what is missing: Debian's `redis-server` through apt-get (root only), and
# the Python packages in a virtual environment, which takes about half a minute. Where an init
# system is running, Debian starts a Redis service of its own; this script does not touch it.
# Needs bash 5, python3 (3.11 or later) with venv, and the Debian essentials.

set -euo pipefail

# redis-py 5 on purpose: later ones repeat a command that timed out, idempotent or not.
packages=(zaqar==23.0.1 gunicorn==23.0.0 redis==5.3.1)
install_secs_max=600
start_secs_max=60
stop_secs_max=10

say() { echo "zaqar-redis: $*"; }

die() {
  say "$1"
  tail -n 20 "$home/log" || true
  exit 1
}

# Starts a child that leads its own process group, holds none of our pipes, and ends when we do.
start() {
  setpriv --pdeathsig TERM setsid "$@" </dev/null >>"$home/log" 2>&1 3>&- &
  children+=($!)
}

alive() { kill -0 "$1" 2>/dev/null; }

# Waits for the child started last, whose task is $1.
await() {
  local deadline=$((SECONDS + install_secs_max))
  while alive $!; do
    ((SECONDS < deadline)) || die "could not $1 within $install_secs_max s"
    pause 0.2
  done
  wait $! || die "could not $1"
  unset 'children[-1]'
}

# Sleeps for $1 seconds, but listens: the end of stdin is the order to stop.
pause() {
  local status=0
  read -r -t "$1" _ || status=$? # above 128 when the time is over
  ((status != 1)) || exit 0
}

# Ends every process group that still has members, youngest first, and removes the folder.
stop() {
  set +e
  trap '' TERM INT HUP PIPE
  local i child deadline
  for ((i = ${#children[@]} - 1; i >= 0; i--)); do
    child=${children[i]} # named twice below, for a moment ago it may not have led a group yet
    deadline=$((SECONDS + stop_secs_max))
    kill -TERM -- "-$child" "$child"
    while kill -0 -- "-$child" "$child" && ((SECONDS < deadline)); do sleep 0.1; done
    kill -KILL -- "-$child" "$child"
  done 2>/dev/null
  rm -rf "$home"
}

# Does the request $2 with the JSON body $3, sent to port $1 by an administrator, answer status $4?
answers() {
  local status=''
  {
    printf '%s\r\n' "$2 HTTP/1.1" "Host: 127.0.0.1:$1" 'X-Project-ID: nanshe' 'X-Roles: admin' \
      'Client-ID: 00000000-0000-4000-8000-000000000000' "Content-Length: ${#3}" '' >&5
    printf '%s' "$3" >&5
    read -r -t 5 status <&5 || true
  } 5<>"/dev/tcp/127.0.0.1/$1"
  [[ $status == "HTTP/1.1 $4"* ]]
} 2>/dev/null

# Does somebody listen on port $1?
listens() { : 5<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null

# With pooling, the service answers a ping only once there is a pool. The weight is that large for queues
# without a flavor go to any pool: none shall meet those of weight 1 that cases add and take away again.
make_pools() {
  local number
  for ((number = 1; number <= pools; number++)); do
    answers "$1" "PUT /v2/pools/pool-$number" \
      "{\"weight\":100000000,\"uri\":\"redis://127.0.0.1:$port?dbid=$number\"}" 201 || return
  done
}

exec 3>&1 >&2 # from here on, only file descriptor 3 is the caller's stdout
children=()
home=$(mktemp -d "${TMPDIR:-/tmp}/nanshe-zaqar.XXXXXX")
trap stop EXIT
trap 'exit 0' TERM INT HUP
trap 'exit 1' PIPE

# Install. One at a time: the lock belongs to file descriptor 9, which flock shares with us. A
# virtual environment cannot be moved into place, so a marker, written last, says it is whole.
venv=$(realpath -m "${NANSHE_VENV:-$(dirname "${BASH_SOURCE[0]}")/../../.venv/zaqar-23.0.1}")
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
start flock 9
await 'wait for another installation'
if ! command -v redis-server >/dev/null; then
  say 'installing redis-server'
  # In the foreground: a package manager that is stopped half-way leaves the machine broken.
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install redis-server; } \
    </dev/null >>"$home/log" 2>&1 3>&- || die 'could not install redis-server'
fi
if [[ $(cat "$venv/.complete" 2>/dev/null) != "${packages[*]}" ]]; then
  [[ -e $venv/pyvenv.cfg || -z $(ls -A "$venv" 2>/dev/null) ]] ||
    die "$venv is neither empty nor a virtual environment"
  say "installing ${packages[*]} into $venv"
  start python3 -m venv --clear "$venv"
  await 'create the virtual environment'
  start "$venv/bin/pip" install --quiet "${packages[@]}"
  await 'install the Python packages'
  echo "${packages[*]}" >"$venv/.complete"
fi
exec 9>&-

# Runs Redis on port $1, with its data in $home; again and again, if somebody asked what it keeps.
run_redis() {
  local arguments=(--port "$1" --bind 127.0.0.1 --save '' --dir "$home" --databases 2000)
  case ${PERSISTENCE:-none} in
    none | no) arguments+=(--appendonly no) ;;
    everysec | always) arguments+=(--appendonly yes --appendfsync "$PERSISTENCE") ;;
    *) die "PERSISTENCE is no, everysec or always, not $PERSISTENCE" ;;
  esac
  if [[ ${PERSISTENCE:-} ]]; then
    start bash -c 'while true; do "$@" || true; sleep 0.2; done' again redis-server "${arguments[@]}"
  else
    start redis-server "${arguments[@]}"
  fi
  redis=$!
}

# Redis. Only binding a port tells that it is free; these are below those the kernel hands out.
deadline=$((SECONDS + start_secs_max))
until grep -q 'Ready to accept connections' "$home/log" 2>/dev/null; do
  if ((${#children[@]} == 0)) || ! alive "$redis"; then
    ((SECONDS < deadline)) || die 'redis-server did not start'
    children=()
    port=$((20000 + RANDOM % 10000))
    run_redis "$port"
  fi
  pause 0.1
done

# The WebSocket is a process of its own, which shares the stores. Its configuration is the same but for
# the transport.
start_websocket() {
  socket_port=$((20000 + RANDOM % 10000))
  while listens "$socket_port"; do socket_port=$((20000 + RANDOM % 10000)); done
  mkdir -p "$home/websocket"
  { sed 's/^transport = .*/transport = websocket/' "$home/.zaqar/zaqar.conf" &&
    printf '%s\n' '[drivers:transport:websocket]' 'bind = 127.0.0.1' "port = $socket_port" \
      'notification_bind = 127.0.0.1'; } >"$home/websocket/zaqar.conf"
  start env -C "$home" -u PYTHONPATH HOME="$home" \
    "$venv/bin/zaqar-server" --config-file "$home/websocket/zaqar.conf"
  websocket=$!
  spare="ws://127.0.0.1:$socket_port"
}

# Zaqar. The kernel chooses the port and the log names it; no settings of the user's get in.
mkdir "$home/.zaqar"
pools=${POOLS:-0}
spare=''
if ((pools > 0)); then
  spare="redis://127.0.0.1:$port?dbid=1{}"
  pooling=True
  management=sqlalchemy
else
  pooling=False
  management=redis
fi
printf '%s\n' >"$home/.zaqar/zaqar.conf" \
  '[DEFAULT]' "pooling = $pooling" 'admin_mode = True' 'unreliable = True' 'auth_strategy =' \
  '[drivers]' 'transport = wsgi' 'message_store = redis' "management_store = $management" \
  '[drivers:management_store:sqlalchemy]' "uri = sqlite:///$home/zaqar.sqlite?timeout=60" \
  '[drivers:management_store:redis]' "uri = redis://127.0.0.1:$port?dbid=0" \
  '[drivers:message_store:redis]' "uri = redis://127.0.0.1:$port?dbid=1" \
  '[signed_url]' 'secret_key = nanshe' \
  '[storage]' 'queue_pipeline = zaqar.notification.notifier' \
  'message_pipeline = zaqar.notification.notifier'
if ((pools > 0)); then
  # The migration tool fails on SQLite, and nothing else makes the tables: so as Zaqar's own tests do.
  start "$venv/bin/python" -c "import sqlalchemy as sa; from zaqar.storage.sqlalchemy import tables
tables.metadata.create_all(sa.create_engine('sqlite:///$home/zaqar.sqlite'))"
  await 'make the tables of the catalogue'
fi
start env -C "$home" -u GUNICORN_CMD_ARGS -u PYTHONPATH HOME="$home" \
  "$venv/bin/gunicorn" -w "${WORKERS:-2}" -b 127.0.0.1:0 zaqar.transport.wsgi.app:app
zaqar=$!
websocket=''
((pools > 0)) || start_websocket
ready=''
while true; do
  alive "$redis" || die 'redis-server ended by itself'
  alive "$zaqar" || die 'gunicorn ended by itself'
  if [[ $websocket ]] && ! alive "$websocket"; then
    # Before that, it was a port that somebody has: another one is tried.
    [[ -z $ready ]] || die 'zaqar-server ended by itself'
    start_websocket
  fi
  if [[ -z $ready ]]; then
    ((SECONDS < deadline)) || die "no answer from zaqar within $start_secs_max s"
    url=$(grep -o 'Listening at: http://127.0.0.1:[0-9]*' "$home/log" | cut -d ' ' -f 3) || true
    made=${made:-$(make_pools "${url##*:}" && echo yes)} || true
    [[ $websocket ]] && ! listens "$socket_port" && pause 0.3 && continue
    [[ $made ]] && answers "${url##*:}" 'GET /v2/ping' '' 204 && ready=yes &&
      echo "ready $url${spare:+ $spare}" >&3
  fi
  pause 0.3
done
