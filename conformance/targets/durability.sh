#!/usr/bin/env bash
#
# What Zaqar on Redis keeps when processes are killed (kill −9): acknowledged messages that were lost, out of how
# many, by what Redis was told to keep and by what was killed. Prints a table in Markdown. Six runs, at once.
#
#   durability.sh SECONDS SEED RUNS
#
#   NANSHE   the program (default: target/release/nanshe)

set -euo pipefail

if (($# != 3)); then
  echo "durability.sh SECONDS SEED RUNS" >&2
  exit 2
fi
seconds=$1 seed=$2 runs=$3
nanshe=${NANSHE:-target/release/nanshe}
targets=$(dirname "${BASH_SOURCE[0]}")
mkdir -p "$runs"

for kept in memory everysec always; do
  for killed in redis workers; do
    "$nanshe" stress "$targets/zaqar-redis-$kept.toml" --workload batch-posts --rate 5 --duration "$seconds" \
      --faults "kill-$killed" --seed "$seed" --runs "$runs/$kept.$killed" \
      >"$runs/$kept.$killed.txt" 2>"$runs/$kept.$killed.err" </dev/null &
  done
done
wait

# What `delivery/lost` says: messages of which it can tell, and those of them that were lost.
echo "| Redis keeps | killed | kills | messages judged | lost |"
echo "|---|---|---|---|---|"
for kept in memory everysec always; do
  for killed in redis workers; do
    "${PYTHON:-python3}" - "$kept" "$killed" "$runs/$kept.$killed"/stress-*/verdicts.json <<'ROW'
import json, sys

kept, killed, verdicts = sys.argv[1:]
verdicts = json.load(open(verdicts))
lost = next(rule for rule in verdicts["rules"] if rule["rule"] == "delivery/lost")
print(f"| {kept} | {killed} | {verdicts['faults']} | {lost['exercised']} | {lost['violations']} |")
ROW
  done
done
