#!/bin/sh
# Trains depth for some minutes on a machine with a graphics card, from a folder that `deeplens_dof.datasets.pack` made, and
# leaves the averaged weights in OUT. Nothing is fetched: the package with its extra [learn] has to be there.
#
#   scripts/train_on_gpu.sh PACK OUT [SECONDS] [RECIPE] [INIT.onnx]
#
# SECONDS (480): what the training may take, the start of the process in it. RECIPE (depth-gpu). INIT: what to start from
# instead of what the recipe says. A run that was stopped goes on when the command is repeated with the same OUT.
# bfloat16 is used by itself on graphics cards.
set -eu
[ $# -ge 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
pack=$1 out=$2 seconds=${3:-480} recipe=${4:-depth-gpu} init=${5:-}
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}" DEEPLENS_CACHE="${DEEPLENS_CACHE:-$out/cache}"
python=${PYTHON:-python3}
mkdir -p "$out"

# Measured depth counts five times a folder of masks: half of the measured samples and more.
set --
for folder in "$pack"/[0-9]*-*; do
    kind=${folder##*-}
    times=1
    [ "$kind" != rgbd ] || times=5
    while [ "$times" -gt 0 ]; do
        set -- "$@" --rgbd "$kind:$folder"
        times=$((times - 1))
    done
done
[ -z "$init" ] || set -- "$@" --init "$init"

# Ctrl-C after the time: the run writes its checkpoint and curves and ends with an error code, which is no error here.
timeout --signal=INT --kill-after=60 "$seconds" "$python" -m deeplens_dof.cli train "$recipe" --resume \
    --out "$out/run" --frames "$pack/frames" --rgbd-share 0.75 --on-error skip "$@" ||
    [ -f "$out/run/checkpoint.pt" ]
"$python" -m deeplens_dof.learn.training.weight_average "$out/depth.onnx" "$out/run/checkpoint.pt"
tail -n 1 "$out/run/log.jsonl"
