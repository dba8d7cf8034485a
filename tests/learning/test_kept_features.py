"""Features that are kept: what a head makes of them is what it makes of the features, and they are never mistaken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learning.conftest import ball_tomogram, loaded
from milopyp_inference.engine.features import FeatureNetwork, open_features
from milopyp_inference.engine.machine import Machine
from milopyp_learning.kept_features import CODES, DESCRIPTION, KeptFeatures, keep_features
from milopyp_shared.errors import ContradictionError, FullDiskError, InputError
from milopyp_shared.head import Head
from milopyp_training.data.dataset import LabelledVolume
from toys import write_tomogram


def whole(network: FeatureNetwork, volume: LabelledVolume) -> np.ndarray:
    """The features themselves."""
    pieces = list(network.iter_features(volume.grey.box, volume.grey.shape, volume.grey.input_range))
    features = np.full((network.description.options.features, *volume.grid_shape((1, 2, 2))), np.nan, np.float32)
    for place, piece in pieces:
        features[:, *place] = piece
    return features


def head_of(features: np.ndarray) -> Head:
    """A head whose logits on `features` are neither all small nor all large."""
    weights = np.random.default_rng(0).normal(size=len(features)).astype(np.float32)
    logits = np.tensordot(weights, features, 1)
    scale = np.float32(2 / logits.std())
    return Head(weights * scale, float(-logits.mean() * scale))


@pytest.mark.parametrize("kept", [False, True])
def test_heat_maps_are_those_of_the_features(
    kept: bool, tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume
) -> None:
    features = whole(network, volume)
    head = head_of(features)
    found = keep_features(network, volume, tmp_path / "kept" if kept else None)
    logits = np.tensordot(head.weights, features, 1) + head.bias
    difference = np.abs(found.heat_map(head) - 1 / (1 + np.exp(-logits)))
    assert difference.max() < 0.03
    assert difference.mean() < 0.003
    assert found.codes.nbytes == features.size
    if not kept:
        assert not list(tmp_path.glob("**/*.features*"))


def test_single_voxels_are_those_of_the_whole(network: FeatureNetwork, volume: LabelledVolume) -> None:
    features, found = whole(network, volume), keep_features(network, volume)
    for own, place, take in found.parts(volume):
        assert own is volume
        mask = np.random.default_rng(2).random(features[0][place].shape) < 0.01
        largest = features[:, *place].reshape(len(features), -1).max(axis=1)
        assert np.abs(take(mask) - features[:, *place][:, mask].T).max() < 0.01 * largest.max()


def test_places_are_those_of_the_whole(network: FeatureNetwork, volume: LabelledVolume) -> None:
    features, found = whole(network, volume), keep_features(network, volume)
    zyx = np.random.default_rng(4).integers(0, found.grid, (50, 3))
    wanted = features[:, *zyx.T].T
    assert np.abs(found.at(zyx) - wanted).max() < 0.01 * features.max()


def test_pieces_of_a_bounded_engine_make_up_the_same(tmp_path: Path, network: FeatureNetwork) -> None:
    noise = np.random.default_rng(3).normal(size=(24, 200, 220)).astype(np.float32)
    path = write_tomogram(tmp_path / "wide.mrc", noise, voxel_size=10.0)
    wide = loaded(path, np.array([[100.0, 90.0, 12.0]]), network)
    one, several = (
        keep_features(open_features(machine=Machine(threads=1, memory=room * 10**6)), wide, tmp_path / str(room))
        for room in (1000, 370)
    )
    assert len(several.pieces) > len(one.pieces)
    head = head_of(whole(network, wide))
    assert np.abs(several.heat_map(head) - one.heat_map(head)).max() < 0.03


def test_they_are_made_once(tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume) -> None:
    first = keep_features(network, volume, tmp_path / "kept")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    again = keep_features(network, replace(volume, xyz=volume.xyz[:1]), tmp_path / "kept")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()} == before
    assert set(before) == {f"a{CODES}", f"a{DESCRIPTION}"}
    np.testing.assert_array_equal(again.codes, first.codes)
    assert again.pieces == first.pieces


def test_half_written_ones_are_made_again(tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume) -> None:
    """A run that was killed leaves no description; what it had begun is no obstacle."""
    folder = tmp_path / "kept"
    first = np.array(keep_features(network, volume, folder).codes)
    (folder / f"a{DESCRIPTION}").unlink()
    (folder / f"a{CODES}").write_bytes(b"half")
    np.testing.assert_array_equal(keep_features(network, volume, folder).codes, first)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_those_of_another_tomogram_or_network_are_refused(
    tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume
) -> None:
    folder = tmp_path / "kept"
    keep_features(network, volume, folder)
    other = tmp_path / "b.mrc"
    xyz = ball_tomogram(other, seed=2)
    with pytest.raises(ContradictionError, match="another tomogram"):
        keep_features(network, replace(loaded(other, xyz, network), name="a"), folder)
    bright = loaded(tmp_path / "a.mrc", xyz, network, contrast="bright")
    with pytest.raises(ContradictionError, match="another tomogram"):
        keep_features(network, bright, folder)
    edit(folder / f"a{DESCRIPTION}", network="0" * 64)
    with pytest.raises(ContradictionError, match="another network"):
        keep_features(network, volume, folder)


def one_piece_less(stored: dict[str, list[object]]) -> dict[str, object]:
    return {"pieces": stored["pieces"][:-1]}


def one_piece_outside(stored: dict[str, list[dict[str, list[list[int]]]]]) -> dict[str, object]:
    [first, *rest] = stored["pieces"]
    z, y, x = first["place"]
    return {"pieces": [first | {"place": [[z[0] + 900, z[1] + 900], y, x]}, *rest]}


@pytest.mark.parametrize("wrong", [one_piece_less, one_piece_outside, lambda stored: {"schema": "one"}])
def test_a_damaged_description_is_refused(
    wrong: object, tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume
) -> None:
    folder = tmp_path / "kept"
    keep_features(network, volume, folder)
    path = folder / f"a{DESCRIPTION}"
    edit(path, **wrong(json.loads(path.read_text())))  # type: ignore[operator]
    with pytest.raises(InputError):
        keep_features(network, volume, folder)


def test_damaged_codes_are_refused(tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume) -> None:
    folder = tmp_path / "kept"
    path = folder / f"a{CODES}"
    keep_features(network, volume, folder)
    content = bytearray(path.read_bytes())
    for damaged, said in ((content[:-1], "bytes"), (bytes([content[0] ^ 1]) + content[1:], "damaged")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=said):
            keep_features(network, volume, folder)


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, network: FeatureNetwork, volume: LabelledVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space is taken before the network is asked."""

    def full(stream: object, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("milopyp_learning.kept_features.reserve", full)
    with pytest.raises(FullDiskError):
        keep_features(network, volume, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_head_asks_for_nothing_but_features(network: FeatureNetwork, volume: LabelledVolume) -> None:
    found = keep_features(network, volume)
    assert isinstance(found, KeptFeatures)
    always = found.heat_map(Head(np.zeros(32, np.float32), 0.0))
    np.testing.assert_array_equal(always, np.full(found.grid, 0.5, np.float32))
