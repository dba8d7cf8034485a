#!/usr/bin/env bash
# Are the declared minima true? Installs the lowest version of each dependency that pyproject.toml allows into a fresh
# environment and goes from labels through trainings and exports to picks and a report; then installs and picks on the
# newest Python that is here, as a deployment machine does. Needs a package index.
#
# PyTorch: its wheels for Linux bring gigabytes of CUDA along unless they are builds for CPUs (2.13.0+cpu). The lowest
# such build is taken that pip finds from the declared minimum on; PIP_FIND_LINKS and PIP_EXTRA_INDEX_URL add places
# that have them. MILOPYP_TORCH=2.14.0+cpu takes another one, PYTHON and PYTHON_NEWEST other Pythons.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" PIP_DISABLE_PIP_VERSION_CHECK=1

# first_that_runs PYTHON...: the first of them that is there and new enough
first_that_runs() {
    for python in "$@"; do
        if "$python" -c "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "FAILED: no Python from 3.11 on among $*" >&2
    exit 1
}

# lowest_cpu_build PIP: of PyTorch, from the declared minimum on
lowest_cpu_build() {
    local minimum
    minimum="$(sed -n 's/.*"torch>=\([0-9.]*\)".*/\1/p' "$root/pyproject.toml")"
    { echo "$minimum"; "$1" index versions torch 2>/dev/null | grep -o '[0-9.]*+cpu'; } | sort -V | grep -A 1 -Fx "$minimum" |
        grep cpu || { echo "FAILED: pip finds no build of PyTorch >= $minimum for CPUs; set PIP_FIND_LINKS or MILOPYP_TORCH" >&2; exit 1; }
}

oldest="$(first_that_runs "${PYTHON:-python3.11}" python3)"
"$oldest" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet uv
torch="torch==${MILOPYP_TORCH:-$(lowest_cpu_build "$work/venv/bin/pip")}"
"$work/venv/bin/pip" download --quiet --no-deps --dest "$work/wheels" "$torch"
echo "$torch" > "$work/torch.txt"
lowest=("$work/venv/bin/uv" pip install --quiet --python "$work/venv/bin/python" --find-links "$work/wheels")
lowest+=(--resolution lowest-direct --override "$work/torch.txt")
"${lowest[@]}" -r "$root/pyproject.toml" --extra cpu --extra export --extra formats --extra report
"$work/venv/bin/pip" install --quiet --no-deps "$root"
"$work/venv/bin/pip" install --quiet pytest hypothesis

cd "$work"
export PATH="$work/venv/bin:$PATH"
python -m pip freeze | grep -i -E '^(click|matplotlib|numba|numpy|onnx|onnxruntime|onnxscript|scipy|tensorboard|torch)=='
milopyp phantom --out data --count 3 --size 48,96,96 --particles 8 --distractors 2 --diameter 12 --noise 0.5
lists=(--train-img-txt data/images.txt --train-coord-txt data/coords.txt --bbox 12 --gpus -1)
milopyp-train "${lists[@]}" --exp-id quick --quick --num-epochs 2 --no-export
milopyp-train "${lists[@]}" --exp-id published --preset published --num-epochs 1 --no-export
for model in quick published; do
    said="$(milopyp-export "exp/semi/$model/model_last_contrastive.pth" -o "$model.onnx" -q)"
    [ -z "$said" ] || { echo "FAILED: milopyp-export -q says: $said"; exit 1; }
done
milopyp-export exp/semi/quick/model_last_contrastive.pth -o int8.onnx --precision int8 --calibration data/images.txt
milopyp learn data/images.txt data/coords.txt --bbox 12 -o learned.onnx
for model in quick published int8 learned; do
    milopyp show "$model.onnx" > "$model.txt"
    milopyp-infer data/phantom_1.mrc --model "$model.onnx" --out "picks_$model" --out-thresh 0.1 --format relion5,csv
    [ -s "picks_$model/phantom_1.txt" ] || { echo "FAILED: $model picks nothing"; exit 1; }
    milopyp report "picks_$model"
done
python - <<'PYTHON'
import pyarrow.parquet
rows = [("phantom_1", [float(x) for x in line.split()[1:4]]) for line in open("data/coords.txt") if line.startswith("phantom_1")]
pyarrow.parquet.write_table(pyarrow.table(dict(zip(("name", "coord"), map(list, zip(*rows))))), "points.parquet")
PYTHON
milopyp prepare -d data -e .mrc -o prepared --picks points.parquet
# fibres: with scipy 1.11.2 they vanished without a word
(cd "$root" && python -m pytest -q -p no:cacheprovider tests/inference/test_filaments.py)

pyenv="${PYENV_ROOT:-$HOME/.pyenv}/versions"
newest="$(first_that_runs ${PYTHON_NEWEST:-python3.14 "$pyenv"/3.14.*/bin/python python3.13 "$pyenv"/3.13.*/bin/python \
    python3.12 "$pyenv"/3.12.*/bin/python python3})"
echo "the minima are true with $(python --version); picking with $("$newest" --version)"
PYTHON="$newest" "$root/tests/end_to_end/install.sh"
