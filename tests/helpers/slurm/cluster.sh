#!/usr/bin/env bash
# A Slurm cluster of one node on loopback, for tests on Debian as root. What it keeps lies in FOLDER, but for the link
# /etc/slurm/slurm.conf: Snakemake's plugin hides SLURM_CONF from the steps of a job. A machine with a Slurm is refused.
#   tests/slurm/cluster.sh install | start FOLDER | controller FOLDER | stop FOLDER
# `controller` starts slurmctld again after it was killed.
set -euo pipefail
unset SLURM_CONF
CONF=/etc/slurm/slurm.conf

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
    local host
    host=$(hostname -s)
    cat > "$1/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$1/munge.socket
# no cgroups, which containers often lack, and no accounting: status comes from squeue
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
MinJobAge=600
KillWait=5
ReturnToService=2
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
# room for two jobs at once, whatever this machine is
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.2
    done
}

controller() { slurmctld && wait_for 30 squeue; }

start() {
    if [[ -e $CONF ]]; then
        echo "$CONF is there: this machine has a Slurm, or cluster.sh stop was not called" >&2
        exit 1
    fi
    mkdir -p "$(dirname "$CONF")" "$1/state" "$1/spool"
    chmod 700 "$1"
    configure "$1"
    ln -sfn "$1/slurm.conf" $CONF
    head -c 1024 /dev/urandom > "$1/munge.key"
    chmod 400 "$1/munge.key"
    munged --force --socket "$1/munge.socket" --key-file "$1/munge.key" --pid-file "$1/munged.pid" \
        --log-file "$1/munged.log" --seed-file "$1/munged.seed"
    controller "$1"
    slurmd
    wait_for 30 sh -c 'sinfo --noheader --states=idle --format=%n | grep -q .'
}

stop() {
    [[ $(realpath -m $CONF) == "$1/slurm.conf" ]] || exit 0
    timeout 10 scancel --user=root 2> /dev/null || true
    for daemon in slurmd slurmctld munged; do # at once: slurmd would wait for its jobs
        [[ -s "$1/$daemon.pid" ]] && kill -9 "$(cat "$1/$daemon.pid")" 2> /dev/null || true
    done
    pkill -9 slurmstepd || true
    rm $CONF
}

case "${1:-}" in
install)
    if [[ $(id -u) != 0 ]] || ! command -v apt-get > /dev/null; then
        echo "no Slurm installed: needs root and Debian" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge > /dev/null
    ;;
start | controller | stop) "$1" "$(realpath "$2")" ;;
*)
    sed -n '2,5s/^# //p' "$0"
    exit 2
    ;;
esac
