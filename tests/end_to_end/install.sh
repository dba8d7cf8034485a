#!/usr/bin/env bash
# Installs milopyp from its wheel into a fresh environment. Without an extra, every program helps, and says in one line which
# extra it needs. Then as a deployment machine does, milopyp[cpu]: no PyTorch may come along, and milopyp-infer must pick a
# tomogram there with the committed toy model, then the same with milopyp[cpu,openvino]. Needs a package index.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
toy="$root/tests/data/toy.onnx"

"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir . "$root"
wheel="$(echo "$work"/milopyp-*.whl)"
install() { venv/bin/pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$@"; }

# wants EXTRAS COMMAND...: it is refused in one line that names pip install 'milopyp[EXTRAS]'
wants() {
    local extras="$1" code=0
    shift
    "venv/bin/$@" > said.txt 2> refused.txt || code=$?
    if [ "$code" = 0 ] || [ "$(wc -l < refused.txt)" != 1 ] || ! grep -qF "pip install 'milopyp[$extras]'" refused.txt; then
        echo "FAILED: $* leaves with $code and does not say in one line that it needs milopyp[$extras]:"
        cat refused.txt
        exit 1
    fi
}

install "$wheel"
for program in milopyp milopyp-train milopyp-export milopyp-infer; do
    "venv/bin/$program" --help > said.txt || { echo "FAILED: $program --help"; exit 1; }
done
venv/bin/python - > said.txt << 'PYTHON' || { echo "FAILED: a command of milopyp does not help"; exit 1; }
import click
from milopyp.cli import milopyp
for name in milopyp.list_commands(click.Context(milopyp)):
    milopyp.main([name, "--help"], standalone_mode=False)
PYTHON
venv/bin/milopyp phantom --out phantoms --count 1 --size 32,64,64 --particles 4 --distractors 0 --noise 0
touch model.pth
mkdir images.zarr
echo '{"zarr_format": 3, "node_type": "group"}' > images.zarr/zarr.json
lists=(--train-img-txt phantoms/images.txt --train-coord-txt phantoms/coords.txt --bbox 18)
wants cpu milopyp-infer phantoms/phantom_1.mrc --model "$toy" --out refused
wants cpu milopyp learn phantoms/images.txt phantoms/coords.txt --bbox 18 -o refused.onnx
wants cpu milopyp doctor
wants cpu milopyp show "$toy"
wants train milopyp-train "${lists[@]}" --exp-id refused
wants train milopyp show model.pth
wants export,cpu milopyp-export model.pth -o refused.onnx
wants export,cpu milopyp pretrain --out refused
wants export,report,cpu milopyp demo --out refused
wants label,cpu milopyp label phantoms/phantom_1.mrc --bbox 18
wants report milopyp report refused
prepare=(milopyp prepare -d phantoms -e .mrc -o refused --bbox 12 --picks)
wants plots "${prepare[@]}" phantoms/coords.txt --pictures
wants formats "${prepare[@]}" points.parquet
wants zarr milopyp prepare -d . -e .zarr -o refused --inference

install "$wheel[cpu]"
for package in torch onnx matplotlib pandas; do
    if venv/bin/python -c "import $package" 2>/dev/null; then
        echo "FAILED: milopyp[cpu] brought $package along"
        exit 1
    fi
done

wants remote milopyp-infer https://localhost/TS_01.zarr --model "$toy" --out refused
wants remote milopyp-infer s3://bucket/TS_01.zarr --model "$toy" --out refused
wants zarr milopyp-infer images.zarr --model "$toy" --out refused
if [ -e refused ] || [ -e refused.onnx ]; then
    echo "FAILED: what was refused has left something"
    exit 1
fi

venv/bin/python -c "from milopyp_inference.engine.features import open_features; open_features()" || {
    echo "FAILED: the pre-trained network does not open"
    exit 1
}
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model "$toy" --out picks --out-thresh 0.1
for file in phantom_1.txt phantom_1.mod phantom_1_hm.mrc phantom_1.candidates.csv run.json records/phantom_1.json; do
    test -s "picks/$file" || { echo "FAILED: picks/$file is missing or empty"; exit 1; }
done
wants plots milopyp threshold picks --plot refused.png
wants plots milopyp evaluate picks --truth phantoms/coords.txt --radius 9 --out refused
venv/bin/milopyp learn phantoms/images.txt phantoms/coords.txt --bbox 18 -o learned.onnx
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model learned.onnx --out learned
test -s learned/phantom_1.txt || { echo "FAILED: what was learned picks nothing"; exit 1; }
picks="$(wc -l < picks/phantom_1.txt)"
install "$wheel[cpu,openvino]"
venv/bin/milopyp doctor | grep -q "^openvino *works" || { echo "FAILED: OpenVINO does not work"; exit 1; }
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model "$toy" --out with_openvino --out-thresh 0.1
grep -q '"provider": "OpenVINO"' with_openvino/records/phantom_1.json || { echo "FAILED: auto did not take OpenVINO"; exit 1; }
cmp picks/phantom_1.txt with_openvino/phantom_1.txt || { echo "FAILED: OpenVINO picks otherwise"; exit 1; }
if [ "$picks" -lt 1 ]; then
    echo "FAILED: no particle was picked"
    exit 1
fi
echo "picked $picks particles without PyTorch"
echo "1 passed, 0 failed"
