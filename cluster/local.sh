#!/usr/bin/env bash
# Two Ray nodes on this machine: a head that has no CPUs to give, and a node of the pool cpu, or of another (POOL=gpu).
#
#   cluster/local.sh python -m jobs.embed --config examples/embed-sotu.yaml     a command on it; its exit code
#   cluster/local.sh                                                            until Ctrl-C; it says how to join
#
# CPUS= is how many the node has (all of the machine's). They listen on loopback alone, at free ports, with a token of
# their own, and end by their ids: another Ray on the machine stays as it is.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$here/.venv/bin/ray" ]; then PATH="$here/.venv/bin:$PATH"; fi
command -v ray >/dev/null ||
  { echo "there is no ray here: make .venv (make embed), or activate an environment that has it" >&2; exit 2; }

folder=$(mktemp -d /tmp/ray-XXXXXX) # sockets' paths must stay short
nodes=""

# The ids of these processes and of all below them.
tree() {
  local id
  for id in "$@"; do
    tree $(pgrep -P "$id" || true)
    echo "$id"
  done
}

# What is in the variable nodes is a list of words, on purpose: the bash of macOS knows no empty arrays.
# shellcheck disable=SC2086
end() {
  local code=$?
  trap - EXIT INT TERM
  if [ -n "$nodes" ]; then
    kill -KILL $(tree $nodes) 2>/dev/null || true
    wait $nodes 2>/dev/null || true
  fi
  rm -rf "$folder"
  exit "$code"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

read -r cores port dashboard client agent_0 agent_1 metrics_0 metrics_1 < <(python - <<'PORTS'
import os
import socket

held = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
print(os.cpu_count(), *(each.getsockname()[1] for each in held))
PORTS
)

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$folder/token" RAY_USAGE_STATS_ENABLED=0
export RAY_USAGE_STATS_REPORT_URL=http://127.0.0.1:9/ # where Ray would tell that it tells nothing
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")
loopback=(--block --node-ip-address=127.0.0.1 --min-worker-port=0 --max-worker-port=0)
if [ -n "${STORE_BYTES:-}" ]; then loopback+=("--object-store-memory=$STORE_BYTES"); fi

# Return once this command succeeds; end with the log's end where the node is gone before.
until_so() {
  local node=$1 log=$2
  shift 2
  until "$@" 2>/dev/null; do
    kill -0 "$node" 2>/dev/null || { tail -n 20 "$log" >&2; exit 1; }
    sleep 0.2
  done
}

both_are_there() {
  python - 2>/dev/null <<'COUNT'
import ray

ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
raise SystemExit(sum(node["Alive"] for node in ray.nodes()) < 2)
COUNT
}

ray start --head "${loopback[@]}" --num-cpus=0 --num-gpus=0 --port="$port" --temp-dir="$folder/ray" \
  --dashboard-host=127.0.0.1 --dashboard-port="$dashboard" --ray-client-server-port="$client" \
  --dashboard-agent-listen-port="$agent_0" --metrics-export-port="$metrics_0" >"$folder/head.log" 2>&1 &
nodes=$!
until_so $! "$folder/head.log" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
export RAY_ADDRESS="127.0.0.1:$port"
ray start --address="$RAY_ADDRESS" "${loopback[@]}" --num-cpus="${CPUS:-$cores}" \
  --labels="manta-pool=${POOL:-cpu}" --dashboard-agent-listen-port="$agent_1" \
  --metrics-export-port="$metrics_1" >"$folder/node.log" 2>&1 &
nodes="$nodes $!"
until_so $! "$folder/node.log" both_are_there

if [ $# -gt 0 ]; then
  "$@" && code=0 || code=$?
  exit "$code"
fi
cat <<JOIN
export RAY_ADDRESS=$RAY_ADDRESS RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH
# Dashboard and job server: http://127.0.0.1:$dashboard (the same token). Ctrl-C here ends both nodes.
JOIN
# shellcheck disable=SC2086
wait $nodes
