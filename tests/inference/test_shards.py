"""Parts of a list: together the whole, each once, and about equally large."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_inference.launch import shards
from milopyp_inference.launch.shards import Shard, parse_shard, part_of
from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

TASK = dict(zip(shards.ARRAY, ("7", "4", "5", "8"), strict=True))


def test_words() -> None:
    assert parse_shard("2/4", {}) == Shard(2, 4)
    assert parse_shard("auto", TASK) == Shard(3, 4)


def test_an_array_with_gaps_is_refused() -> None:
    """--array=3,7: nobody would pick the parts between."""
    with pytest.raises(UsageError, match="an array of 2 tasks from 3 to 7"):
        parse_shard("auto", dict(zip(shards.ARRAY, ("7", "2", "3", "7"), strict=True)))


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "2/", "-1/4", "a/b", "1/0", "auto"])
def test_words_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text, {})


@given(sizes=st.lists(st.integers(0, 10**9), min_size=1, max_size=40), count=st.integers(1, 12))
def test_parts_are_the_whole_and_even(sizes: list[int], count: int) -> None:
    """No part is larger than the mean and the largest tomogram together: that is what the rule can promise."""
    images = [ImageEntry(f"t{number}", Path(str(size))) for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "file_size", lambda path: int(str(path)))
        parts = [part_of(images, Shard(number + 1, count)) for number in range(count)]
        turned = part_of(list(reversed(images)), Shard(1, count))
    assert sorted(image.name for part in parts for image in part) == sorted(image.name for image in images)
    assert turned == parts[0]  # whatever the order of the list
    loads = [sum(max(int(str(image.path)), 1) for image in part) for part in parts]
    assert max(loads) <= sum(loads) / count + max(*sizes, 1)
    if len(images) >= count:
        assert all(parts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five tomograms, one of them larger, and the toy model; the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    for number in range(5):
        phantom = clean_phantom(number + 1, (24, 48, 128 if number == 2 else 64), particles=4)
        write_tomogram(Path(f"{number}.mrc"), phantom.volume, "xyz", voxel_size=10.0)
    return tmp_path


def test_parts_make_one_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part says what all have done so far; the last one leaves the summary of the whole list."""
    line = "milopyp-infer 0.mrc 1.mrc 2.mrc 3.mrc 4.mrc --model toy.onnx --out picks --threads 1"
    for number in ("1", "2", "3"):
        for name, value in zip(shards.ARRAY, (number, "3", "1", "3"), strict=True):
            monkeypatch.setenv(name, value)
        outcome = run_line(line, "--shard", "auto")
        assert outcome.code == 0, outcome.err
        done = sorted(path.stem for path in Path("picks/records").glob("*.json"))
        summary = json.loads(Path("picks/run.json").read_text())
        assert [record["name"] for record in summary["tomograms"]] == done
    assert done == ["0", "1", "2", "3", "4"] and summary["done"] == 5
    assert run_line(line, "--shard", "9/9").out.startswith("there is nothing to do for part 9/9")
