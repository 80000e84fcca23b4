# What postgres.sh and beanstalkd.sh have in common: a broker and its gateway, on loopback, in the
# foreground, as a target for the suite. To be sourced by bash 5.
#
#   stdin    the lease of life: when it ends, everything is stopped. Its content is ignored.
#   stdout   one line, once the gateway answers: `ready http://127.0.0.1:PORT`. Never anything else.
#   stderr   progress and errors.
#   exit     0 after the end of stdin, SIGTERM, SIGINT or SIGHUP, whether or not it was ready;
#            1 if something could not be installed, built or started, or ended by itself.
#
#   NANSHE_GATEWAYS   a folder with the gateways' programs (default: they are built by cargo)
#
# Every run has its own folder, which is this process's working directory, so that process.sh finds it.
# On the way out, the processes are stopped and the folder is removed. After a SIGKILL of this process the
# kernel ends the others, and only the folder remains.
#
# Whoever sources this sets `name`, defines `start_broker` and `broker_answers`, lists what variables the
# latter needs in `broker_is_at`, and calls `supervise` with the gateway's program and what it is told after
# its address.

start_secs_max=60
stop_secs_max=10
broker_quits_by=TERM

say() { echo "$name: $*"; }

die() {
  say "$1"
  tail -n 20 "$home/log" || true
  exit 1
}

alive() { kill -0 "$1" 2>/dev/null; }

# Sleeps for $1 seconds, but listens: the end of stdin is the order to stop.
pause() {
  local status=0
  read -r -t "$1" _ || status=$? # above 128 when the time is over
  ((status != 1)) || exit 0
}

# Starts the child $1, which leads its own session, holds none of our pipes, and gets the signal $2 when
# we end.
start() {
  local child=$1 quits_by=$2
  shift 2
  setpriv "${as_user[@]}" setpriv --pdeathsig "$quits_by" setsid "$@" </dev/null >>"$home/log" 2>&1 3>&- &
  pids[$child]=$!
  disown $! # how it ends is looked at, not announced
  echo $! >"$home/$child.pid"
}

start_gateway() {
  local as_user=(--)
  start gateway TERM "$program" "127.0.0.1:$gateway_port" "${gateway_arguments[@]}"
}

gateway_answers() {
  local status=''
  {
    printf '%s\r\n' 'GET /v2/ping HTTP/1.1' "Host: 127.0.0.1:$gateway_port" 'X-Project-ID: nanshe' \
      'Client-ID: 00000000-0000-4000-8000-000000000000' 'Connection: close' '' >&5
    read -r -t 5 status <&5 || true
  } 5<>"/dev/tcp/127.0.0.1/$gateway_port"
  [[ $status == "HTTP/1.1 204"* ]]
} 2>/dev/null

# Installs the Debian package $2 if there is no command $1.
install() {
  command -v "$1" >/dev/null && return
  say "installing $2"
  # In the foreground: a package manager that is stopped half-way leaves the machine broken.
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install "$2"; } \
    </dev/null >>"$home/log" 2>&1 3>&- || die "could not install $2"
}

# Ends both, the gateway first, and removes the folder.
stop() {
  set +e
  trap '' TERM INT HUP PIPE
  local child pid deadline signal
  for child in gateway broker; do
    pid=${pids[$child]:-}
    [[ $pid ]] || continue
    signal=TERM
    [[ $child == gateway ]] || signal=$broker_quits_by
    kill -CONT "$pid" $(pgrep -P "$pid")
    kill "-$signal" "$pid"
    deadline=$((SECONDS + stop_secs_max))
    while alive "$pid" && ((SECONDS < deadline)); do sleep 0.05; done
    kill -KILL "$pid" $(pgrep -P "$pid")
  done 2>/dev/null
  cd /
  rm -rf "$home"
}

begin() {
  exec 3>&1 >&2 # from here on, only file descriptor 3 is the caller's stdout
  declare -gA pids=()
  as_user=(--)
  repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../..")
  home=$(mktemp -d "${TMPDIR:-/tmp}/nanshe-$name.XXXXXX")
  trap stop EXIT
  trap 'exit 0' TERM INT HUP
  trap 'exit 1' PIPE
  cd "$home"
  : >log
}

# Finds or builds the program $1.
gateway() {
  program=${NANSHE_GATEWAYS:-}/$1
  [[ -z ${NANSHE_GATEWAYS:-} ]] || return 0
  say "building $1"
  (cd "$repository" && cargo build --quiet --release --locked -p nanshe-gateways --bins) \
    </dev/null >>"$home/log" 2>&1 3>&- || die "could not build $1"
  program=$(realpath "${CARGO_TARGET_DIR:-$repository/target}/release/$1")
}

# Starts the broker, then the gateway $1 with the arguments that follow, says so once that answers, and
# starts anew what process.sh ended.
supervise() {
  local deadline=$((SECONDS + start_secs_max)) ready='' child
  program=$1
  shift
  gateway_arguments=("$@")
  gateway_port=0
  until broker_answers; do
    alive "${pids[broker]}" || die 'the broker ended by itself'
    ((SECONDS < deadline)) || die "no answer from the broker within $start_secs_max s"
    pause 0.1
  done
  start_gateway
  while true; do
    for child in broker gateway; do
      alive "${pids[$child]}" && continue
      if [[ -e $child.again ]]; then
        rm "$child.again"
        "start_$child"
      else
        [[ -e $child.down ]] || die "the $child ended by itself"
      fi
    done
    if [[ -z $ready ]]; then
      ((SECONDS < deadline)) || die "no answer from the gateway within $start_secs_max s"
      gateway_port=$(grep -o 'ready http://127.0.0.1:[0-9]*' log | grep -o '[0-9]*$') || gateway_port=0
      if ((gateway_port > 0)) && gateway_answers; then
        ready=yes
        # What process.sh has to know to tell that they are there again.
        {
          declare -p gateway_port broker_quits_by "${broker_is_at[@]}"
          declare -f gateway_answers broker_answers
        } >answers
        echo "ready http://127.0.0.1:$gateway_port" >&3
      fi
    fi
    pause 0.05
  done
}
