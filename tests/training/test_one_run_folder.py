"""One folder holds one training: another one is refused, or kept apart; an export is never a stranger's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_training import export_onnx
from milopyp_training.methods.presets import DefaultPreset
from milopyp_training.run_folder import RunFolder, held
from running import Outcome, run_line
from toys import ball_centres, balls, write_tomogram

SHAPE, DIAMETER = (24, 64, 70), 12.0
PRESET = DefaultPreset(patch=(8, 32, 32), batch=2, steps=2, epochs=1, folds=0, flips=1)
RUN = Path("exp/semi/a")
LAST = RUN / "model_last_contrastive.pth"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "milopyp_training.train.choose_preset", lambda options: replace(PRESET, epochs=options.num_epochs)
    )
    centres = ball_centres(SHAPE, DIAMETER)
    noise = np.random.default_rng(1).normal(0, 0.2, SHAPE)
    write_tomogram(Path("a.mrc"), (balls(SHAPE, centres, DIAMETER) + noise).astype(np.float32), voxel_size=10.0)
    write_image_list(Path("images.txt"), [ImageEntry("a", Path("a.mrc"))])
    write_coordinate_list(Path("coords.txt"), {"a": centres[:, ::-1]})


def train(words: str) -> Outcome:
    lists = "--train-img-txt images.txt --train-coord-txt coords.txt"
    return run_line(
        f"milopyp-train {lists} --bbox {DIAMETER:g} --exp-id a --gpus -1 --threads 1 --num-workers 0 {words}"
    )


def test_a_second_training_is_refused_or_keeps_the_first() -> None:
    assert train("--num-epochs 1 --no-export").code == 0
    first, status = LAST.read_bytes(), json.loads((RUN / "status.json").read_text())
    told = [status[name] for name in ("state", "exit_code", "unit", "total", "done", "current", "picks")]
    assert told == ["finished", 0, "epoch", 1, 1, [], None]
    refused = train("--num-epochs 1 --no-export --seed 2")
    assert refused.code == 2
    assert "exp/semi/a: holds the models of an earlier training" in refused.err
    assert "--overwrite to begin anew and keep it as a.1" in refused.err
    assert LAST.read_bytes() == first
    for number, seed in ((1, 2), (2, 3)):
        again = train(f"--num-epochs 1 --no-export --overwrite --seed {seed}")
        assert again.code == 0, again.err
        assert f"the earlier training is kept as exp/semi/a.{number}\n" in again.out
    assert Path("exp/semi/a.1", LAST.name).read_bytes() == first
    assert len({path.read_bytes() for path in Path("exp/semi").glob(f"*/{LAST.name}")}) == 3
    assert not list(Path("exp/semi").glob(".*"))  # no lock is left


def test_another_process_does_not_write_to_it() -> None:
    with held(RunFolder(RUN)):
        refused = train("--num-epochs 1 --no-export")
        assert refused.code == 2
        assert "exp/semi/a: another training is writing to it; expected one at a time" in refused.err
        assert not RUN.exists()
        with pytest.raises(UsageError), held(RunFolder(RUN)):
            pass
    assert train("--num-epochs 1 --no-export").code == 0


def test_no_export_stands_beside_a_model_that_it_is_not_made_of() -> None:
    """One that went on without exporting takes it away; a finished one, which stays as it is, does not."""
    assert train("--num-epochs 1 --no-export --save-all").code == 0
    exported = LAST.with_suffix(".onnx")
    exported.write_bytes(b"of epoch 1")
    assert train("--num-epochs 1 --no-export --save-all --resume").code == 0
    assert exported.exists()
    LAST.unlink()
    on = train("--num-epochs 1 --no-export --save-all --resume")
    assert on.code == 0, on.err
    assert f"{exported} is removed: it is of the training as it was before" in on.out
    assert not exported.exists()


def test_nothing_of_the_working_directory_is_run() -> None:
    """A random.py of the user's is none of Python's."""
    Path("random.py").write_text("open('ran', 'w').write('it was run')")
    assert train("--num-epochs 1 --export").code == 0
    assert LAST.with_suffix(".onnx").exists()
    assert not Path("ran").exists()
    assert export_onnx.can_export(True)
