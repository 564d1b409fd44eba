#!/usr/bin/env bash
# A search over a SLURM allocation: starts Ray on its nodes, checks them, searches, cleans up.
#
#   DATA=/shared/div2k-x2.pack RUN=/shared/runs/mine sbatch docs/cluster/slurm.sh --budget 400k
#
# What stands behind the script's name goes to `python -m search run`. Submitted again with the same
# RUN, it goes on where it was stopped. Change the #SBATCH lines for your cluster; one task a node.

#SBATCH --job-name=lightir
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --signal=B:INT@600
# The last line is Ctrl-C ten minutes before the end: trials that run end, the report is made.

set -euo pipefail

RUN=${RUN:?set RUN to the run folder, on a disk that all nodes see}
DATA=${DATA:-}                                # a pack, or empty for the embedded photographs
SCRATCH=${SCRATCH:-${TMPDIR:-/tmp}}           # a local disk, under one name on all nodes
CPUS=${SLURM_CPUS_PER_TASK:-1}
GPUS=${SLURM_GPUS_ON_NODE:-0}
NODES=${SLURM_JOB_NUM_NODES:?run this with sbatch}
# shares of a GPU: ask `python -m search cluster calibrate` on one of the nodes
GPUS_PER_TRIAL=${GPUS_PER_TRIAL:-$([ "$GPUS" -gt 0 ] && echo 0.25 || echo 0)}

# One fresh secret for this job, in the environment only: it is not printed and in no file. Without
# it, anybody who reaches a port of Ray may run programs as you.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0

HEAD_IP=$(hostname --ip-address | tr ' ' '\n' | grep -v '^127\.' | head -n 1 || true)
HEAD_IP=${HEAD_IP:-127.0.0.1}
PORT=$((20000 + SLURM_JOB_ID % 10000))        # two jobs that share a node do not meet
export RAY_ADDRESS=$HEAD_IP:$PORT             # what --address auto finds
RAY_FILES=$SCRATCH/ray-$SLURM_JOB_ID          # short: sockets are made in it
LOCAL=$SCRATCH/lightir-$(basename "$RUN")     # not named after the job: the run goes on in another
STARTED=()                                    # what is to be ended with the job

on_every_node() { # COMMAND...: once on each, and wait
    if [ "$NODES" -gt 1 ]; then srun --ntasks="$NODES" --ntasks-per-node=1 "$@"; else "$@"; fi
}

place_data() { # copy the pack to every node, and have its checksum looked at there
    on_every_node mkdir -p "$LOCAL"
    on_every_node cp "$DATA" "$LOCAL_DATA"
    on_every_node python -m search data check "$LOCAL_DATA"
}

start_head() { # on this node, the first of the allocation; the search runs here too
    ray start --block --head --node-ip-address="$HEAD_IP" --port="$PORT" --num-cpus="$CPUS" \
        --num-gpus="$GPUS" --include-dashboard=false --temp-dir="$RAY_FILES" \
        >"$RUN.ray-head.log" 2>&1 &
    STARTED+=($!)
}

start_workers() { # on all others
    srun --nodes=$((NODES - 1)) --ntasks=$((NODES - 1)) --ntasks-per-node=1 \
        --exclude="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)" \
        ray start --block --address="$RAY_ADDRESS" --num-cpus="$CPUS" --num-gpus="$GPUS" \
        >"$RUN.ray-workers.log" 2>&1 &
    STARTED+=($!)
}

clean_up() { # end what was started here and nothing else: `ray stop` would end other jobs' Ray
    kill "${STARTED[@]}" 2>/dev/null || true
    wait "${STARTED[@]}" 2>/dev/null || true
    if [ -n "$DATA" ]; then on_every_node rm -rf "$LOCAL"; fi
}

search() { # run it, or go on with it; a signal to the job is one to the search
    if [ -e "$RUN/config.json" ]; then
        python -m search resume "$RUN" &
    else
        python -m search run --engine ray --address auto --gpus-per-trial "$GPUS_PER_TRIAL" \
            --cpus-per-trial 1 --time 0 --out "$RUN" "${WITH_DATA[@]}" "$@" &
    fi
    local pid=$!
    trap 'kill -INT '"$pid" INT TERM
    local status=0
    wait "$pid" || status=$?
    while kill -0 "$pid" 2>/dev/null; do  # a signal has ended the waiting, not the search
        status=0
        wait "$pid" || status=$?
    done
    return "$status"
}

trap clean_up EXIT
mkdir -p "$(dirname "$RUN")"
WITH_DATA=()
if [ -n "$DATA" ]; then
    LOCAL_DATA=$LOCAL/$(basename "$DATA")
    WITH_DATA=(--data "$LOCAL_DATA")
    place_data
fi
start_head
if [ "$NODES" -gt 1 ]; then start_workers; fi
python -m search cluster check --nodes "$NODES" --out "$(dirname "$RUN")" "${WITH_DATA[@]}"
search "$@"
