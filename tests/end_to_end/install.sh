#!/usr/bin/env bash
# Installs milopyp into a fresh environment: without any extra, where every program must say what it wants; as a deployment
# machine does, pip install '.[cpu]', where no PyTorch may come along and milopyp-infer must pick a tomogram with the
# committed toy model; then the same with '.[cpu,openvino]'.
# Needs a package index.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$root"

# says EXTRAS COMMAND...: without any extra, the command says in one line which it wants, and leaves with 2
says() {
    extras="$1"; shift
    code=0
    said="$("$work/venv/bin/$1" "${@:2}" 2>&1 > /dev/null)" || code=$?
    if [ "$code" != 2 ] || [ "$(echo "$said" | wc -l)" != 1 ] || ! echo "$said" | grep -qF "pip install 'milopyp[$extras]'"; then
        echo "FAILED: $* left with $code and said: $said"
        exit 1
    fi
}
"$work/venv/bin/milopyp" phantom --out "$work/phantoms" --count 1 --size 32,64,64 --particles 4 --distractors 0 --noise 0
(
    cd "$work"
    says cpu milopyp-infer phantoms/phantom_1.mrc --model "$root/tests/data/toy.onnx"
    says cpu milopyp learn phantoms/images.txt phantoms/coords.txt --bbox 18 -o learned.onnx
    says cpu milopyp show "$root/tests/data/toy.onnx"
    says train milopyp-train --train-img-txt phantoms/images.txt --train-coord-txt phantoms/coords.txt --bbox 18 --exp-id a
    says export,cpu milopyp-export model.pth -o model.onnx
    says label,cpu milopyp label phantoms/phantom_1.mrc
    says report milopyp report picks
)
rm -rf "$work/phantoms"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$root[cpu]"
for package in torch onnx matplotlib pandas; do
    if "$work/venv/bin/python" -c "import $package" 2>/dev/null; then
        echo "FAILED: pip install '.[cpu]' brought $package along"
        exit 1
    fi
done

cd "$work"
venv/bin/python -c "from milopyp_inference.engine.features import open_features; open_features()" || {
    echo "FAILED: the pre-trained network does not open"
    exit 1
}
venv/bin/milopyp phantom --out phantoms --count 1 --size 32,64,64 --particles 4 --distractors 0 --noise 0
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model "$root/tests/data/toy.onnx" --out picks --out-thresh 0.1
for file in phantom_1.txt phantom_1.mod phantom_1_hm.mrc phantom_1.candidates.csv run.json records/phantom_1.json; do
    test -s "picks/$file" || { echo "FAILED: picks/$file is missing or empty"; exit 1; }
done
venv/bin/milopyp learn phantoms/images.txt phantoms/coords.txt --bbox 18 -o learned.onnx
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model learned.onnx --out learned
test -s learned/phantom_1.txt || { echo "FAILED: what was learned picks nothing"; exit 1; }
picks="$(wc -l < picks/phantom_1.txt)"
venv/bin/pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$root[cpu,openvino]"
venv/bin/milopyp doctor | grep -q "^openvino *works" || { echo "FAILED: OpenVINO does not work"; exit 1; }
venv/bin/milopyp-infer phantoms/phantom_1.mrc --model "$root/tests/data/toy.onnx" --out with_openvino --out-thresh 0.1
grep -q '"provider": "OpenVINO"' with_openvino/records/phantom_1.json || { echo "FAILED: auto did not take OpenVINO"; exit 1; }
cmp picks/phantom_1.txt with_openvino/phantom_1.txt || { echo "FAILED: OpenVINO picks otherwise"; exit 1; }
if [ "$picks" -lt 1 ]; then
    echo "FAILED: no particle was picked"
    exit 1
fi
echo "picked $picks particles without PyTorch"
echo "1 passed, 0 failed"
