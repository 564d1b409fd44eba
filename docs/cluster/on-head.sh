#!/usr/bin/env sh
# What `ray exec docs/cluster/ray-up.yaml` runs on the head: check the nodes, then search.
# Called again, it goes on where the run was stopped.
set -eu
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$HOME/.lightir/token" RAY_ADDRESS=127.0.0.1:6379
export PATH="$HOME/lightir-env/bin:$PATH"
cd "$HOME/lightir"
if [ -e /shared/runs/mine/config.json ]; then
    exec python -m search resume /shared/runs/mine
fi
python -m search cluster check --nodes 4 --data /scratch/lightir/train.pack --out /shared/runs
exec python -m search run --budget 400k --engine ray --address auto --gpus-per-trial 0.25 \
    --cpus-per-trial 1 --trials 256 --time 0 \
    --data /scratch/lightir/train.pack --out /shared/runs/mine
