"""Tiles that are read, copied and computed at the same time: the path of GPUs, on the CPU's memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from milopyp_inference.engine import overlap
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.overlap import DeviceSession
from milopyp_inference.engine.planning import plan_for_gpu
from milopyp_inference.engine.providers import cpu, cuda
from milopyp_inference.engine.session import new_session, run_on_cpu
from milopyp_shared.tiles import Piece, Shape, Tiling, box_of, iter_heat_map
from toys import TOY

FILE = read_model_file(TOY)
GEOMETRY = FILE.recipe.geometry
SESSION = new_session(FILE.graph, Machine("cpu", threads=1), cpu.OPTIONS)
LEVELS = np.array([10, 245], np.float32)
SMALL = 4 * 10**6  # bytes of a GPU on which these volumes are several tiles


class Watched:
    """A session that counts its runs, and stops at one of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.runs: list[str] = []
        self.stop_at = stop_at
        self.at_once = threading.Lock()

    def io_binding(self) -> Any:
        return SESSION.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        assert self.at_once.acquire(blocking=False), "two runs at the same time"
        try:
            if len(self.runs) == self.stop_at:
                raise RuntimeError("CUDA out of memory")
            self.runs.append(threading.current_thread().name)
            SESSION.run_with_iobinding(binding)
        finally:
            self.at_once.release()


def on_cpu(session: Any) -> DeviceSession:
    said: list[str] = []
    opened = DeviceSession(session, ("cpu", 0), said.append)
    assert said == []
    return opened


def random_volume(shape: Shape) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def in_turn(tiling: Tiling, volume: NDArray[np.uint8]) -> Iterator[Piece]:
    return iter_heat_map(tiling, box_of(volume), lambda block: run_on_cpu(SESSION, block, LEVELS), GEOMETRY)


def same(found: list[Piece], expected: list[Piece]) -> None:
    assert [place for place, _ in found] == [place for place, _ in expected]
    for (_, piece), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(piece, other)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@settings(max_examples=25)
@given(st.tuples(st.integers(1, 50), st.integers(1, 90), st.integers(1, 90)), st.sampled_from([SMALL, 4 * SMALL]))
def test_what_comes_out_is_what_one_after_the_other_gives(shape: Shape, memory: int) -> None:
    """Same places in the same order, same values to the last bit, whatever the sizes of the last tiles."""
    volume, tiling = random_volume(shape), plan_for_gpu(shape, FILE.recipe, memory)
    found = list(on_cpu(SESSION).iter_heat_map(tiling, box_of(volume), LEVELS, GEOMETRY))
    same(found, list(in_turn(tiling, volume)))


def test_tiles_of_these_tests_have_several_sizes() -> None:
    tiling = plan_for_gpu((49, 89, 87), FILE.recipe, SMALL)
    assert len(tiling) > 4
    assert len({tile.size for tile in tiling}) > 1


def test_one_tile_alone_is_the_same() -> None:
    block = random_volume((7, 33, 20))
    np.testing.assert_array_equal(on_cpu(SESSION).run(block, LEVELS), run_on_cpu(SESSION, block, LEVELS))


def test_next_tiles_are_under_way_while_the_caller_has_one() -> None:
    """The network's thread never waits for the caller: while it has one tile, the next ones are computed, no more."""
    shape = (49, 89, 87)
    volume, tiling, watched = random_volume(shape), plan_for_gpu(shape, FILE.recipe, SMALL), Watched()
    read: list[Shape] = []
    enough = threading.Event()

    def reads(start: Shape, end: Shape) -> NDArray[np.uint8]:
        read.append(start)
        if len(read) == 2 + overlap.RUNS_AHEAD:  # one waits for the network
            enough.set()
        return box_of(volume)(start, end)

    pieces = on_cpu(watched).iter_heat_map(tiling, reads, LEVELS, GEOMETRY)
    found = [next(pieces)]
    assert enough.wait(20)
    assert len(watched.runs) <= 1 + overlap.RUNS_AHEAD < len(tiling)
    found += pieces
    same(found, list(in_turn(tiling, volume)))
    assert len(set(watched.runs)) == 1 and watched.runs[0] != threading.current_thread().name


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_a_run_that_fails_ends_it(at: int) -> None:
    shape = (49, 89, 87)
    volume, tiling = random_volume(shape), plan_for_gpu(shape, FILE.recipe, SMALL)
    found: list[Piece] = []
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        found.extend(on_cpu(Watched(at)).iter_heat_map(tiling, box_of(volume), LEVELS, GEOMETRY))
    same(found, list(in_turn(tiling, volume))[:at])


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_a_tile_that_cannot_be_read_ends_it(at: int) -> None:
    shape = (49, 89, 87)
    volume, tiling = random_volume(shape), plan_for_gpu(shape, FILE.recipe, SMALL)
    left = iter(range(at))

    def reads(start: Shape, end: Shape) -> NDArray[np.uint8]:
        if next(left, None) is None:
            raise OSError("the disk is gone")
        return box_of(volume)(start, end)

    found: list[Piece] = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(on_cpu(SESSION).iter_heat_map(tiling, reads, LEVELS, GEOMETRY))
    same(found, list(in_turn(tiling, volume))[:at])


def test_a_caller_that_stops_ends_it() -> None:
    shape = (49, 89, 87)
    pieces = on_cpu(watched := Watched()).iter_heat_map(
        plan_for_gpu(shape, FILE.recipe, SMALL), box_of(random_volume(shape)), LEVELS, GEOMETRY
    )
    next(pieces)
    del pieces
    assert len(watched.runs) <= 1 + overlap.RUNS_AHEAD


def test_without_memory_on_the_device_it_goes_one_after_the_other() -> None:
    """As with an onnxruntime that was built without such devices: said once, and the same comes out."""
    said: list[str] = []
    opened = DeviceSession(SESSION, ("cann", 0), said.append)
    [line] = said
    assert line.startswith("tiles are copied and computed one after the other (")
    shape = (49, 89, 87)
    volume, tiling = random_volume(shape), plan_for_gpu(shape, FILE.recipe, SMALL)
    for _ in range(2):
        same(list(opened.iter_heat_map(tiling, box_of(volume), LEVELS, GEOMETRY)), list(in_turn(tiling, volume)))
    assert len(said) == 1


def test_an_onnxruntime_that_is_slow_on_gpus_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "new_session", lambda *_: SimpleNamespace())
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    said: list[str] = []
    for version in ("1.24.4", "1.25.0", "1.31.1", "2.0"):
        monkeypatch.setattr(onnxruntime, "__version__", version)
        cuda.CudaEngine(FILE, Machine("cuda"), said.append)
    assert said == ["onnxruntime 1.24.4 is slow on GPUs: 1.25 and newer enlarge volumes much faster"]


def test_the_engine_of_cuda_gives_what_the_cpu_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it but CUDA itself."""
    monkeypatch.setattr(cuda, "new_session", lambda *_: SESSION)
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    shape = (49, 89, 87)
    volume = random_volume(shape)
    engine = cuda.CudaEngine(FILE, Machine("cuda", memory=SMALL), lambda text: None)
    whole = np.full((49, 45, 44), np.nan, np.float32)
    for place, piece in engine.iter_heat_map(engine.plan(shape), box_of(volume), LEVELS):
        whole[place] = piece
    reference = cpu.CpuEngine(FILE, Machine("cpu", threads=1), lambda text: None)
    for place, piece in reference.iter_heat_map(reference.plan(shape), box_of(volume), LEVELS):
        np.testing.assert_allclose(whole[place], piece, rtol=0, atol=1e-5)
    assert np.isfinite(whole).all()
