#!/usr/bin/env bash
#
# Every workload at once against one server, each from clients of its own and in queues of its own: minutes in
# place of hours. Prints a line for each: workload, exit code, operations, faults, and the rules that it broke.
#
#   campaign.sh URL SECONDS RUNS [OPTION…]
#
#   URL       a server that is already there
#   SECONDS   how long each workload works before its drain
#   RUNS      a folder for the runs; what each printed lies in it as WORKLOAD.txt
#   OPTION    of `nanshe stress`, for all of them: `--faults network --seed 1 --rate 5 …`
#
#   NANSHE    the program (default: target/release/nanshe)
#   WORKLOADS which, with spaces between (default: all that there are)
#   exit      the worst of all exit codes: 1 before 3 before 0; 2 for bad usage

set -euo pipefail

if (($# < 3)); then
  echo "campaign.sh URL SECONDS RUNS [OPTION…]" >&2
  exit 2
fi
url=$1 seconds=$2 runs=$3
shift 3
nanshe=${NANSHE:-target/release/nanshe}
workloads=${WORKLOADS:-$("$nanshe" list workloads | cut -d ' ' -f 1)}
mkdir -p "$runs"

running=()
for workload in $workloads; do
  "$nanshe" stress "$url" --workload "$workload" --duration "$seconds" --runs "$runs/$workload" "$@" \
    >"$runs/$workload.txt" 2>"$runs/$workload.err" </dev/null &
  running+=("$workload $!")
done

worst=0
for entry in "${running[@]}"; do
  read -r workload pid <<<"$entry"
  code=0
  wait "$pid" || code=$?
  told=$(grep -E '^[0-9]+ operations' "$runs/$workload.txt" || tail -n 1 "$runs/$workload.err")
  broken=$(awk '$1 ~ "^[a-z]+/[a-z-]+$" && $2 == "violation" { printf " %s (%s)", $1, $3 }' "$runs/$workload.txt")
  printf '%-20s exit %s: %s;%s\n' "$workload" "$code" "$told" "${broken:- no rule broken}"
  case $code in
    0) ;;
    1) worst=1 ;;
    *) ((worst == 1)) || worst=$code ;;
  esac
done
exit "$worst"
