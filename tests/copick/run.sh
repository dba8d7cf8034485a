#!/usr/bin/env bash
# milopyp's command lines on a project that copick itself has made, read back by copick. It has an environment of its
# own, since copick needs zarr 2 and milopyp zarr 3: the tested version with what it imports for projects in folders
# (all of its dependencies take three times as long). Needs a package index.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
bin="${MILOPYP_BIN:-$root/.venv/bin}"

"${PYTHON:-python3}" -m venv "$work/venv"
pip() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip -r "$root/tests/copick/requirements.txt"
pip --no-deps copick==1.31.0 2> "$work/missing" || { cat "$work/missing"; exit 1; }  # it names what is left out

cd "$work"
copick() { env -u PYTHONPATH "$work/venv/bin/python" "$root/tests/copick/with_copick.py" "$@"; }
infer() { "$bin/milopyp-infer" --copick project.json --tomo-type wbp --voxel-spacing 10 --threads 1 --quiet "$@"; }
toy=("--model" "$root/tests/data/toy.onnx" "--out-thresh" 0.1 "--object" ribosome)
of_two=("--model" "$root/tests/data/toy_of_two.onnx" "--out-thresh" 0.1 "--no-exclusive" "--session" two)

"$bin/milopyp" phantom --out phantoms --count 2 --size 32,64,64 --particles 4 --distractors 0 --noise 0 --quiet
copick build phantoms/phantom_1.mrc phantoms/phantom_2.mrc
infer "${toy[@]}"
copick compare picks
copick label phantoms/coords.txt
if infer "${toy[@]}" --user bob --session 1 2> refused; then
    echo "FAILED: bob's picks were not refused"
    exit 1
fi
grep -q "bob_1_ribosome.json" refused
copick edit
if infer "${toy[@]}" 2> refused; then
    echo "FAILED: picks that were changed in copick were not refused"
    exit 1
fi
infer "${toy[@]}" --overwrite 2> kept
grep -q "kept as" kept
copick compare picks
"$bin/milopyp" prepare --copick project.json --object ribosome -o labels --no-pictures --quiet
copick labels labels_train_coords.txt phantoms/coords.txt
"$bin/milopyp" collect picks --to copick --class-names ribosome -o collected --quiet
copick collected picks
infer "${of_two[@]}" --out two
"$bin/milopyp" collect two --to copick -o of_two --quiet
copick classes two
"$bin/milopyp" prepare --copick project.json --object ribosome,proteasome --user milopyp --session two -o two --no-pictures --quiet
copick labels_of_classes two_train_coords.txt
echo "1 passed, 0 failed"
