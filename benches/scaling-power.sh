#!/usr/bin/env bash
#
# How often the ladders catch, in real time, what scales badly: each specimen is served on loopback anew for every run,
# and climbs the ladder of its rule. Prints a line for each: caught of runs, and how often anything else was called a
# violation. With `reference`, which nothing may be said of, as with `indexed`.
#
#   scaling-power.sh RUNS [NAME…]
#
#   RUNS      how often each is measured; the number of a run is its seed
#   NAME      which (default: all of them)
#
#   NANSHE    the program (default: target/release/nanshe)
#   SPECIMENS the program that serves them (default: target/release/serve-specimen)
#   exit      0 if each specimen was caught in nine of ten runs at least, and nothing else was ever a violation; else 1;
#             2 for bad usage

set -euo pipefail

if (($# < 1)) || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
  echo "scaling-power.sh RUNS [NAME…]" >&2
  exit 2
fi
runs=$1
shift
nanshe=$(realpath "${NANSHE:-target/release/nanshe}")
serve=$(realpath "${SPECIMENS:-target/release/serve-specimen}")
names=("$@")
((${#names[@]})) || names=(chattering-sessions counted-pages fixed-table late-collection one-lock one-table
  scanning-claims indexed reference)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Ladder and options of a name: no longer than it takes.
ladder() {
  case $1 in
    chattering-sessions) echo throughput --clients 32 --rounds 4 ;;
    late-collection) echo flat-cost --longest 10000 --rounds 5..8 --turns 10 ;;
    counted-pages | scanning-claims) echo flat-cost --longest 100000 --rounds 5..8 --turns 10 ;;
    fixed-table) echo continuous --clients 32 --rate-max 150 --rounds 3 ;;
    one-lock) echo isolation --rounds 4 ;;
    one-table) echo idle --longest 30000 --rounds 6 ;;
    *) echo throughput --rounds 4 ;;
  esac
}

# What starts a name and says `ready`.
target() {
  local command="\"$serve\", \"$1\""
  [ "$1" = reference ] && command="\"$work/reference\""
  printf 'name = "%s"\n[start]\ncommand = [%s]\nready_secs_max = 10\n' "$1" "$command"
}
cat >"$work/reference" <<EOF
#!/usr/bin/env bash
exec 3< <(exec "$nanshe" serve --bind 127.0.0.1:0)
served=\$!
read -r line <&3
echo "ready \${line#serving }"
cat >/dev/null
kill "\$served"
EOF
chmod +x "$work/reference"

worst=0
for name in "${names[@]}"; do
  target "$name" >"$work/$name.toml"
  read -ra options <<<"$(ladder "$name")"
  rule=scaling/${options[0]} caught=0 others=0 began=$SECONDS
  case $name in indexed | reference) rule=none ;; esac
  for ((seed = 1; seed <= runs; seed++)); do
    code=0
    "$nanshe" scale "$work/$name.toml" --ladder "${options[@]}" --seed "$seed" --runs "$work/runs" \
      >"$work/told" 2>"$work/err" </dev/null || code=$?
    if ((code == 2)); then
      cat "$work/err" >&2
      exit 1
    fi
    # A rule stands alone on its line, its verdicts below it; the rules of the history on one.
    broken=$(awk '/^[a-z]+\// { rule = $1 } $1 == "violation" && NF > 1 { print rule }' "$work/told" | sort -u)
    grep -qx "$rule" <<<"$broken" && caught=$((caught + 1))
    # A violation of the history has no such line.
    if grep -qvx -e "$rule" -e "" <<<"$broken" || { ((code == 1)) && [ -z "$broken" ]; }; then
      others=$((others + 1))
    fi
    rm -rf "$work/runs"
  done
  if [ "$rule" = none ]; then
    printf '%-20s nothing may be said of it: a violation in %d of %d runs, %d s\n' \
      "$name" "$others" "$runs" $((SECONDS - began))
  else
    printf '%-20s %-18s caught in %d of %d runs, another violation in %d, %d s\n' \
      "$name" "$rule" "$caught" "$runs" "$others" $((SECONDS - began))
    ((caught * 10 >= runs * 9)) || worst=1
  fi
  ((others == 0)) || worst=1
done
exit "$worst"
