"""A click that is a little off ends nearer to the middle of the particle.

Not at once in the middle: in noise that would be farther away more often than not, so the click has a say in it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from milopyp.labelling.snap import REACH, snap
from milopyp_shared.tiles import Shape
from toys import DIAMETER, balls, clean_phantom

SHAPE = (40, 60, 70)
REMAINS = 0.68  # of a click's error, in exact balls; voxels round it


def snapped(volume: NDArray[np.float32], click: NDArray[np.float64], diameter: float = DIAMETER) -> NDArray[np.float64]:
    def box(first: Shape, last: Shape) -> NDArray[np.float32]:
        found = volume[tuple(slice(*span) for span in zip(first, last, strict=True))]
        assert found.shape == tuple(np.subtract(last, first)), "a box beyond the volume"
        return found

    return snap(np.asarray(click, np.float64), diameter, box, volume.shape, "dark")  # type: ignore[arg-type]


def around(count: int, reach: float, seed: int) -> NDArray[np.float64]:
    """Ways to be wrong, up to `reach`, in any direction."""
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(count, 3))
    return ways / np.linalg.norm(ways, axis=1, keepdims=True) * rng.uniform(0, reach, (count, 1))


@pytest.mark.parametrize("diameter", [5.0, 10.0, 21.0])
def test_exact_balls_anywhere_between_voxels(diameter: float) -> None:
    rng = np.random.default_rng(1)
    for off in around(30, 0.3 * diameter, 2):
        centre = rng.uniform(diameter, np.array(SHAPE[::-1]) - diameter) if diameter < 20 else np.array([35, 30, 20.3])
        volume = balls(SHAPE, centre[None, ::-1], diameter)
        once = snapped(volume, centre + off, diameter)
        assert np.linalg.norm(once - centre) <= REMAINS * np.linalg.norm(off) + 0.5
        assert np.linalg.norm(snapped(volume, snapped(volume, once, diameter), diameter) - centre) < 0.1 * diameter


def test_particles_of_a_phantom() -> None:
    """The next particle no farther than phantoms have it."""
    phantom = clean_phantom()
    for reach, remains in ((0.1, 0.06), (0.2, 0.13), (0.3, 0.21)):
        away = [
            np.linalg.norm(snapped(phantom.volume, xyz + off) - xyz)
            for xyz in np.asarray(phantom.particles_xyz)
            for off in around(8, reach * DIAMETER, 3)
        ]
        assert max(away) < remains * DIAMETER


@pytest.mark.parametrize("face", range(6))
def test_at_faces(face: int) -> None:
    """Particles whose half lies outside are snapped to what there is of them, inside."""
    axis, end = divmod(face, 2)
    centre = np.array(SHAPE[::-1]) / 2
    centre[axis] = (SHAPE[::-1][axis] - 1) * end
    volume = balls(SHAPE, centre[None, ::-1])
    for off in around(10, 0.3 * DIAMETER, 4):
        click = np.clip(centre + off, -0.5, np.array(SHAPE[::-1]) - 0.5)
        found = snapped(volume, click)
        assert np.linalg.norm(found - centre) <= REMAINS * np.linalg.norm(click - centre) + 0.5
        assert (found >= -0.5).all()
        assert (found <= np.array(SHAPE[::-1]) - 0.5).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1234.567, 1e-12, 1e20])
def test_where_nothing_is_the_click_stays(value: float) -> None:
    volume = np.full(SHAPE, value, np.float32)
    for click in ([30.3, 20.7, 15.1], [-0.5, -0.5, -0.5], [69.5, 59.5, 39.5]):
        np.testing.assert_array_equal(snapped(volume, np.array(click)), click)


@given(st.tuples(st.floats(-0.5, 69.5), st.floats(-0.5, 59.5), st.floats(-0.5, 39.5)), st.floats(2, 80))
def test_never_far_from_the_click(click: tuple[float, float, float], diameter: float) -> None:
    """Whatever is there, and however large the particle is."""
    volume = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    found = snapped(volume, np.array(click), diameter)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found - click) <= REACH * diameter + 1.0  # between voxels


def test_the_nearer_of_two() -> None:
    centres = np.array([[20, 30, 30], [20, 30, 41]])
    volume = balls(SHAPE, centres)
    for centre in centres:
        click = centre[::-1] + np.array([0.0, 2.5, 1.0])
        assert np.linalg.norm(snapped(volume, click) - centre[::-1]) < REMAINS * 2.7 + 0.5


def test_bright_particles() -> None:
    centre = np.array([35.0, 30.0, 20.0])
    volume = -balls(SHAPE, centre[None, ::-1])
    found = snap(centre + 1, DIAMETER, lambda first, last: volume[tuple(map(slice, first, last))], SHAPE, "bright")
    assert np.linalg.norm(found - centre) < 1.0
