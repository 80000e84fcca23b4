#!/usr/bin/env bash
#
# Where Zaqar places new queues: no client can see that, so its catalogue is read. Creates queues on three pools of
# different weights, adds a fourth and weighs all anew, creates as many again, and says how likely so uneven a spread is
# if queues follow the weights (chi-square), and how many queues changed their pools meanwhile.
#
#   zaqar-spread.sh [QUEUES]
#
#   QUEUES   how many are created each time (default 700)
#   exit     0 if both spreads are likelier than one in a million, and no queue moved; 1 if not; 2 for bad usage

set -euo pipefail

queues=${1:-700}
if (($# > 1)) || ! [[ $queues =~ ^[1-9][0-9]{0,4}$ ]]; then
  echo "zaqar-spread.sh [QUEUES]" >&2
  exit 2
fi
folder=$(mktemp -d)
coproc zaqar { exec env TMPDIR="$folder" POOLS=3 "$(dirname "$0")/zaqar-redis.sh" 2>"$folder/log"; }
pid=$zaqar_PID
finish() {
  # Its standard input is its lease of life.
  exec {zaqar[1]}>&- || true
  wait "$pid" || true
  rm -rf "$folder"
}
trap finish EXIT
read -r _ url spare <&"${zaqar[0]}" || { cat "$folder/log" >&2; exit 1; }

z() {
  curl --silent --fail --output /dev/null --header 'Client-ID: 00000000-0000-4000-8000-000000000001' \
    --header 'X-Project-ID: spread' --header 'X-Roles: admin' --header 'Content-Type: application/json' --request "$1" "$url/v2/$2" ${3:+--data "$3"} ||
    { echo "$1 /v2/$2 was refused" >&2; exit 1; }
}

# Names, weights and counts of queues by pool of those whose names begin with $1; and the catalogue, for later.
judge() {
  python3 - "$(echo "$folder"/nanshe-zaqar.*/zaqar.sqlite)" "$folder/before" "$1" <<'EOF'
import json, math, pathlib, sqlite3, sys

store, before, prefix = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
store = sqlite3.connect(store)
weights = dict(store.execute("SELECT name, weight FROM Pools ORDER BY name"))
placed = dict(store.execute("SELECT queue, pool FROM Catalogue WHERE project = 'spread'"))
of = [pool for queue, pool in placed.items() if queue.startswith(prefix)]
expected = {pool: len(of) * weight / sum(weights.values()) for pool, weight in weights.items()}
square = sum((of.count(pool) - n) ** 2 / n for pool, n in expected.items())
# The survival function of chi-square, in closed form for two and three degrees of freedom.
p = math.exp(-square / 2)
if len(weights) == 4:
    p = math.erfc(math.sqrt(square / 2)) + math.sqrt(2 * square / math.pi) * p
earlier = json.loads(before.read_text()) if before.exists() else {}
moved = sum(placed.get(queue) != pool for queue, pool in earlier.items())
before.write_text(json.dumps(placed))
for pool, weight in weights.items():
    print(f"  {pool}: weight {weight}, {of.count(pool)} queues, {expected[pool]:.0f} expected")
print(f"{len(of)} queues on {len(weights)} pools: chi-square {square:.2f}, p = {p:.3f}; {moved} moved")
sys.exit(p < 1e-6 or moved > 0)
EOF
}

weigh() {
  local weight=$1 number
  for number in 1 2 3; do
    z PATCH "pools/pool-$number" "{\"weight\": $((weight * number))}"
  done
}

worst=0
weigh 100
for ((number = 0; number < queues; number++)); do z PUT "queues/early-$number"; done
judge early- || worst=1
z PUT pools/pool-4 "{\"weight\": 400, \"uri\": \"${spare/\{\}/1}\"}"
weigh 50
for ((number = 0; number < queues; number++)); do z PUT "queues/late-$number"; done
judge late- || worst=1
exit "$worst"
