"""Grey levels: the published arrays, the streaming pass against a whole-volume formula, bad voxels."""

from __future__ import annotations

import resource
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from milopyp_shared import axes, filtered_slabs
from milopyp_shared.errors import InputError
from milopyp_shared.filtered_slabs import Pairing, pair_sections
from milopyp_shared.grey_statistics import Formula, Levels
from milopyp_shared.masks import array_mask
from milopyp_shared.mrc import write_mrc
from milopyp_shared.prefetch import Workers
from milopyp_shared.preprocessing import Contrast, PreprocessedVolume, Preprocessing, grey_levels, published
from milopyp_shared.tomogram import open_tomogram
from toys import tomogram_of, write_tomogram

PARAMETERS = {
    "default": Preprocessing(),
    "first models": Preprocessing(statistics="moments"),
    "published": published(),
    "published wide": published(1.5),
    "published without pairing": published(0.8, compress=False),
    "published without filter": published(0.0),
    "no filter along z": Preprocessing(sigma=(0.0, 1.2, 0.0)),
    "wide along z": Preprocessing(pairing="none", sigma=(4.0, 0.5, 0.5)),  # reaches 16 sections
}


def levels_of(found: PreprocessedVolume) -> np.ndarray:
    return found.sections(0, found.shape[0])


def whole_volume_levels(volume: np.ndarray, parameters: Preprocessing) -> np.ndarray:
    """Pair, z-score, filter, z-score, levels: the steps of the published program on a whole float64 volume.

    The second z-score is made with the statistics that are asked for.
    """
    v = volume.astype(np.float64)
    if parameters.pairing != "none":
        join = {"max": np.max, "mean": np.mean}[parameters.pairing]
        v = np.stack([join(v[k : k + 2], axis=0) for k in range(0, len(v), 2)])
    v = (v - v.mean()) / v.std()
    v = gaussian_filter(v, parameters.sigma)
    if parameters.statistics == "quantiles":
        below, middle, above = np.quantile(v, [norm.cdf(-1), 0.5, norm.cdf(1)])
        v = (v - middle) / ((above - below) / 2) if above > below else (v - v.mean()) / v.std()
    else:
        v = (v - v.mean()) / v.std()
    low, high = parameters.limits
    return np.round(np.clip(255 * (v - low) / (high - low), 0, 255)).astype(int)


def assert_levels_agree(found: np.ndarray, expected: np.ndarray, part: float = 1e-4) -> None:
    """At most one level apart, on at most this part of the voxels (2 of a small volume)."""
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= max(2, part * difference.size)


def textured(shape: tuple[int, int, int], dtype: type = np.int16, seed: int = 0) -> np.ndarray:
    """Noise on a ramp with a few spikes beyond the limits."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(0, 20, shape) + np.linspace(-30, 30, shape[0])[:, None, None]
    volume.flat[:: volume.size // 7] += 110
    if np.dtype(dtype).kind == "u":
        volume = np.clip(volume + 100, 0, 255)
    elif np.dtype(dtype) == np.int8:
        volume = np.clip(volume, -128, 127)
    return volume.astype(dtype)


GAUSS = ("0", "0.8", "1.5")
PUBLISHED = [
    *((f"pre_c{c}_g{g}", f"vol_{word}_int16", word) for c in (0, 1) for g in GAUSS for word in ("xzy", "yxz")),
    *((f"pre_even_c1_g{g}", f"vol_{word}_even_int16", word) for g in GAUSS for word in ("zxy", "xzy")),
    *(
        (f"pre_{kind}_{case}", f"vol_xzy_{kind}", "xzy")
        for kind in ("int8", "float32")
        for case in ("c1_g0.8", "c0_g0")
    ),
]


@pytest.mark.parametrize(("name", "file", "word"), PUBLISHED)
def test_published_arrays(golden: Path, name: str, file: str, word: str) -> None:
    expected = np.load(golden / "preprocessed.npz")[name]
    compress, gauss = "c1" in name, float(name.split("_g")[1])
    tomogram = open_tomogram(golden / "volumes" / f"{file}.rec", axes.from_published(word))
    found = grey_levels(tomogram, published(gauss, compress))
    assert found.sections_per_pair == (2 if compress else 1)
    low, high = found.input_range
    assert low < high
    assert_levels_agree(levels_of(found), np.round(expected * (high - low) + low).astype(int))
    # what the network sees: the lowest level that occurs is 0, the highest is 1
    assert (expected.min(), expected.max()) == (0.0, 1.0)
    assert (levels_of(found).min(), levels_of(found).max()) == (low, high)


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=list(PARAMETERS))
@pytest.mark.parametrize("shape", [(8, 30, 41), (9, 25, 16), (67, 33, 20), (131, 17, 24)], ids=str)
def test_equals_the_whole_volume_formula(parameters: Preprocessing, shape: tuple[int, int, int]) -> None:
    volume = textured(shape)
    found = grey_levels(tomogram_of(volume), parameters)
    expected = whole_volume_levels(volume, parameters)
    assert found.shape == expected.shape
    assert_levels_agree(levels_of(found), expected)
    ends = (expected.min(), expected.max()) if parameters.stretch else (0, 255)
    assert found.input_range == pytest.approx(ends, abs=1)


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=list(PARAMETERS))
@pytest.mark.parametrize("slab", [1, 2, 3, 7, 12, 500])
def test_does_not_depend_on_the_slab(monkeypatch: pytest.MonkeyPatch, parameters: Preprocessing, slab: int) -> None:
    monkeypatch.setattr(filtered_slabs, "_SECTIONS", slab)
    volume = textured((25, 21, 34))
    found = grey_levels(tomogram_of(volume), parameters)
    assert_levels_agree(levels_of(found), whole_volume_levels(volume, parameters))


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=list(PARAMETERS))
def test_threads_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, parameters: Preprocessing, contrast: Contrast
) -> None:
    monkeypatch.setattr(filtered_slabs, "_SECTIONS", 3)
    volume = textured((45, 40, 34))
    volume[:, :6] = 7  # constant fill
    mask = array_mask(np.arange(40)[None, :, None] + np.zeros(volume.shape) > 9, tomogram_of(volume))
    one, *more = (grey_levels(tomogram_of(volume), parameters, contrast, mask, threads=n) for n in (1, 2, 3, 16))
    for other in more:
        assert np.array_equal(other.filtered, one.filtered)
        assert replace(other, filtered=one.filtered) == one


def test_an_error_of_a_thread_is_the_same_and_leaves_none_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_slabs, "_SECTIONS", 1)
    volume = textured((60, 40, 34), np.float32)
    volume[31, 5, 6] = np.nan
    said = []
    for threads in (1, 2, 3):
        with pytest.raises(InputError, match="NaN or infinite voxels near section 30") as caught:
            grey_levels(tomogram_of(volume), Preprocessing(), threads=threads)
        said.append(str(caught.value))
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("milopyp-work")]
    assert len(set(said)) == 1


def test_large_sections_go_through_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread's slab, and what the filter sees of its neighbours, takes memory."""
    asked = []
    monkeypatch.setattr(filtered_slabs, "Workers", lambda threads: asked.append(threads) or Workers(threads))
    monkeypatch.setattr(filtered_slabs, "_SECTIONS", 2)
    for room in (2 * (2 + 4) * 20 * 30, 1):
        monkeypatch.setattr(filtered_slabs, "_IN_FLIGHT", room)
        grey_levels(tomogram_of(textured((25, 20, 30))), Preprocessing(), threads=7)
    assert asked == [2, 0]


@pytest.mark.parametrize("pairing", ["none", "max", "mean"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float32])
def test_number_types(pairing: Pairing, dtype: type) -> None:
    volume, parameters = textured((11, 30, 24), dtype), Preprocessing(pairing)
    found = grey_levels(tomogram_of(volume), parameters)
    assert_levels_agree(levels_of(found), whole_volume_levels(volume, parameters))


@pytest.mark.parametrize("order", axes.ORDERS)
def test_does_not_depend_on_the_file_order(tmp_path: Path, order: str) -> None:
    volume = textured((12, 30, 24))
    write_mrc(tmp_path / "a.mrc", volume.transpose(axes.from_zyx(order)))
    found = grey_levels(open_tomogram(tmp_path / "a.mrc", order), Preprocessing())
    assert np.array_equal(levels_of(found), levels_of(grey_levels(tomogram_of(volume), Preprocessing())))


@pytest.mark.parametrize("name", ["default", "published", "published without pairing"])
@pytest.mark.parametrize(
    ("offset", "spread", "dtype"),
    [(32000, 5, np.int16), (-32000, 5, np.int16), (65000, 8, np.uint16), (30000, 300, np.int16), (3e4, 50, np.float32)],
)
def test_small_differences_upon_a_large_offset(name: str, offset: float, spread: float, dtype: type) -> None:
    noise = np.random.default_rng(1).normal(offset, spread, (40, 60, 50))
    volume = (noise if dtype is np.float32 else np.rint(noise)).astype(dtype)
    found = grey_levels(tomogram_of(volume), PARAMETERS[name])
    part = 1e-3 if dtype is np.float32 else 1e-4  # the mean of a pair is rounded to float32 before the offset goes
    assert_levels_agree(levels_of(found), whole_volume_levels(volume, PARAMETERS[name]), part)


@pytest.mark.parametrize("name", ["default", "published", "published without pairing"])
def test_bright_particles_are_dark_ones_of_the_negated_volume(name: str) -> None:
    volume = textured((19, 30, 24))
    bright = grey_levels(tomogram_of(volume), PARAMETERS[name], contrast="bright")
    dark = grey_levels(tomogram_of(-volume), PARAMETERS[name], contrast="dark")
    assert np.array_equal(levels_of(bright), levels_of(dark))
    assert bright.input_range == dark.input_range
    # numbers whose negative their own type does not hold
    for edge in (volume.clip(-100, 100).astype(np.int8), (volume + 300).astype(np.uint16)):
        edge[0, 0, 0] = np.iinfo(edge.dtype).min
        bright = grey_levels(tomogram_of(edge), PARAMETERS[name], contrast="bright")
        assert_levels_agree(levels_of(bright), whole_volume_levels(-edge.astype(float), PARAMETERS[name]))


def test_sections_and_boxes_are_cuts_of_the_whole() -> None:
    found = grey_levels(tomogram_of(textured((41, 30, 24))), Preprocessing())
    whole = levels_of(found)
    assert found.shape == whole.shape == (21, 30, 24)
    assert whole.dtype == np.uint8
    assert np.array_equal(found.sections(5, 17), whole[5:17])
    for start, end in (((0, 0, 0), (21, 30, 24)), ((20, 29, 23), (21, 30, 24)), ((3, 4, 5), (10, 20, 24))):
        cut = tuple(slice(a, b) for a, b in zip(start, end))
        assert np.array_equal(found.box(np.array(start), np.array(end)), whole[cut])


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("section", [0, 21, 89])
def test_voxels_that_are_no_numbers_are_refused_with_their_place(name: str, bad: float, section: int) -> None:
    parameters = PARAMETERS[name]
    volume = textured((90, 12, 14), np.float32)
    volume[section, 3:5, 4] = bad
    if bad == -np.inf and parameters.pairing == "max":  # the maximum of a pair hides one
        volume[section // 2 * 2 : section // 2 * 2 + 2, 3:5, 4] = bad
    per_pair = parameters.sections_per_pair
    with pytest.raises(InputError, match=f"near section {section // per_pair * per_pair}; expected finite numbers"):
        grey_levels(tomogram_of(volume), parameters)


def test_numbers_at_the_end_of_float32_are_refused_without_a_warning() -> None:
    volume = textured((12, 12, 14), np.float32)
    volume[4:6, ::2] = np.finfo(np.float32).max  # in lines: a whole section of it would be fill
    volume[6:8] = np.inf
    volume[7] = -np.inf
    with pytest.raises(InputError, match="near section 4"):
        grey_levels(tomogram_of(volume), Preprocessing())


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(0, np.int16), (-7, np.int8), (65535, np.uint16), (0.1, np.float32), (-12345.678, np.float32), (1e30, np.float32)],
)
def test_a_constant_volume_is_refused(name: str, value: float, dtype: type) -> None:
    with pytest.raises(InputError, match=r"a\.mrc: all voxels are equal; expected a tomogram with contrast"):
        grey_levels(tomogram_of(np.full((70, 12, 14), value, dtype)), PARAMETERS[name])


def test_one_voxel_is_contrast() -> None:
    volume = np.full((20, 40, 40), 100, np.int16)
    volume[7, 8, 9] = 101
    assert_levels_agree(
        levels_of(grey_levels(tomogram_of(volume), Preprocessing())), whole_volume_levels(volume, Preprocessing())
    )


def test_pairs_of_sections() -> None:
    sections = np.array([[[1, 40]], [[30, 4]], [[5, 60]]], dtype=np.int16)
    before = sections.copy()
    for pairing, expected in (
        ("none", sections),
        ("max", [[[30, 40]], [[5, 60]]]),
        ("mean", [[[15.5, 22]], [[5, 60]]]),
    ):
        paired = pair_sections(sections, pairing)
        assert np.array_equal(paired, expected)
        assert paired.dtype == (np.float32 if pairing == "mean" else np.int16)
    assert np.array_equal(sections, before)
    top = np.full((2, 1, 1), 65535, np.uint16)
    assert pair_sections(top, "mean").item() == 65535


def test_the_scratch_file_leaves_nothing_behind(tmp_path: Path) -> None:
    found = grey_levels(tomogram_of(textured((12, 20, 24))), Preprocessing(), scratch_folder=tmp_path)
    assert not list(tmp_path.iterdir())  # already unlinked: a killed run leaves nothing either
    assert levels_of(found).std() > 10


def test_no_room_for_the_scratch_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="temporary space cannot be had") as caught:
        grey_levels(tomogram_of(textured((12, 20, 24))), Preprocessing(), scratch_folder=tmp_path / "none")
    assert str(caught.value).startswith(f"{tmp_path / 'none'}: ")
    tomogram = tomogram_of(textured((12, 20, 24)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # like a disk that is full after 4 kB
    try:
        with pytest.raises(InputError, match="room for the grey levels, the heat map and the mask") as caught:
            grey_levels(tomogram, Preprocessing(), scratch_folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Set TMPDIR" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("statistics", ["quantiles", "moments"])
def test_levels_that_collapse_are_said(statistics: Formula, tmp_path: Path) -> None:
    """One hot voxel makes the deviation of all voxels; quantiles do not heed it."""
    clean = np.random.default_rng(0).normal(size=(24, 64, 64)).astype(np.float32)
    hot = clean.copy()
    hot[12, 30, 30] = 5000
    parameters = Preprocessing(statistics=statistics)
    found = []
    for name, volume in (("clean", clean), ("hot", hot)):
        write_tomogram(tmp_path / f"{name}.mrc", volume)
        found.append(grey_levels(open_tomogram(tmp_path / f"{name}.mrc"), parameters).levels)
    np.testing.assert_allclose(found[0], (-2.33, -1, 1, 2.33), atol=0.06)
    assert found[0].doubt(statistics, None) is found[0].doubt(statistics, found[0]) is None
    said = found[1].doubt(statistics, None) or ""
    assert said.startswith("W15 grey levels collapse") == (statistics == "moments")


def test_levels_unlike_those_of_the_training_are_said() -> None:
    noise = Levels(-2.3, -1.0, 1.0, 2.3)
    assert noise.doubt("quantiles", Levels(-3.2, -1.0, 1.0, 2.5)) is None
    said = Levels(-6.0, -1.0, 1.0, 2.3).doubt("quantiles", noise)
    assert said is not None
    assert "the darkest 1% of the voxels begin at 6.0 standard deviations, there at 2.3" in said
    assert "the brightest" in (noise.doubt("quantiles", Levels(-2.3, -1.0, 1.0, 5.0)) or "")
