#!/usr/bin/env bash
# A search on machines that SLURM gives; from the repository's root:
#     sbatch scripts/cluster/slurm.sh run STUDY.yaml --out /shared/runs/first
#     sbatch scripts/cluster/slurm.sh resume /shared/runs/first
# What follows the script goes to `sieve`. The environment (.venv, or SIEVE_VENV) and the run's
# folder must be where all machines see them. Machines, CPUs, GPUs and time are for you to set.
#SBATCH --job-name=sieve
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --mem=0
#SBATCH --exclusive
#SBATCH --time=08:00:00
# Five minutes before the time is up the search is asked to save itself; `resume` goes on.
#SBATCH --signal=B:TERM@300
set -euo pipefail

bin=${SIEVE_VENV:-$SLURM_SUBMIT_DIR/.venv}/bin
here=$SLURM_SUBMIT_DIR/scripts/cluster
port=$((20000 + SLURM_JOB_ID % 20000))

# Ray listens on all interfaces; this job's own token is what it asks for. srun passes both on.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
# When Ray is asked to end the search has ended: nothing is to be drained for half a minute.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
unset OMP_NUM_THREADS

search=
waiting=
signalled=
# Asks this job's steps to end, and no other Ray of this user; what doesn't end in a minute is
# killed, which is what srun does with its step when it is asked itself.
# shellcheck disable=SC2329  # called by the trap
finish() {
    trap - EXIT TERM INT
    scancel --signal=TERM "$SLURM_JOB_ID" || true
    for _ in {1..300}; do
        [ -n "$(jobs -rp)" ] || return 0
        sleep 0.2
    done
    # shellcheck disable=SC2046  # each is a number
    kill $(jobs -rp) 2>/dev/null || true
    wait || true
}
# shellcheck disable=SC2329  # called by the trap
ask() {
    signalled=1
    # shellcheck disable=SC2086  # there may be none yet
    kill -TERM ${search:-$waiting} 2>/dev/null || true
    [ -n "$search" ] || exit 143
}
trap finish EXIT
trap ask TERM INT

# ray_on NODES SRUN'S OPTION RAY'S OPTIONS: start Ray on that many of the job's machines.
ray_on() {
    local nodes=$1 which=$2
    shift 2
    srun --nodes="$nodes" --ntasks="$nodes" --cpus-per-task="$SLURM_CPUS_PER_TASK" "$which" \
        "$here/ray_node.sh" "$bin/ray" start --block --num-cpus="$SLURM_CPUS_PER_TASK" "$@" &
}

# This script runs on the job's first machine; it is the head, and runs trials like the others.
read -r head < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
address=$("$bin/python" -c 'import ray; print(ray.util.get_node_ip_address())'):$port
ray_on 1 --nodelist="$head" --head --port="$port" --dashboard-host=127.0.0.1 --disable-usage-stats
others=$((SLURM_JOB_NUM_NODES - 1))
[ "$others" -eq 0 ] || ray_on "$others" --exclude="$head" --address="$address"
"$bin/python" "$here/wait_for_nodes.py" "$address" "$SLURM_JOB_NUM_NODES" &
waiting=$!
wait "$waiting"

"$bin/sieve" "$@" --address "$address" &
search=$!
# A signal interrupts the wait; the search then saves itself, and is waited for again.
while :; do
    signalled=
    status=0
    wait "$search" || status=$?
    [ -n "$signalled" ] || break
done
exit "$status"
