"""What does a tomogram in OME-Zarr cost, beside the same one as MRC?

    python benchmarks/bench_zarr.py

One tomogram of smoothed noise in float32, as MRC and in stores of several chunkings, on disk and from a web server on
the same machine, picked by milopyp-infer with the shipped network and a random head. The ways take turns, each in a
process of its own; medians, and of the ratios to the MRC file of the same turn. Memory is without pages of files, which
the system can take back. Reading alone is a pass over all sections, four at a time, after one over sixteen single ones,
as for grey levels.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import zarr
from bench_inference import make_models, write_noise
from machine import describe_machine
from watched_process import watch
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.storage import LocalStore, ZipStore

from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram

INFER = str(Path(sys.executable).with_name("milopyp-infer"))
LIMIT = 3600.0  # seconds
BLOSC, ZSTD = BloscCodec(cname="lz4", shuffle="bitshuffle"), ZstdCodec()
WAYS: dict[str, tuple[str, tuple[int, int, int], Any]] = {
    "chunks of 64, zstd": ("a.zarr", (64, 64, 64), ZSTD),
    "chunks of 64, zstd, zip": ("b.zarr.zip", (64, 64, 64), ZSTD),
    "chunks of 128, blosc": ("c.zarr", (128, 128, 128), BLOSC),
    "chunks of 256, blosc": ("d.zarr", (256, 256, 256), BLOSC),
    "single sections, zstd": ("e.zarr", (1, 4096, 4096), ZSTD),
    "chunks of 64, not compressed": ("f.zarr", (64, 64, 64), None),
}
OVER_HTTP = ("chunks of 64, zstd", "chunks of 128, blosc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="464x480x192", help="x by y by z")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--only", nargs="*", help="these ways, beside MRC")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name:
        folder = Path(name)
        model = make_models(folder)["pretrained fp32"]
        files = write_files(folder, options.size)
        places: dict[str, str] = {way: str(path) for way, path in files.items()}
        places |= {f"{way}, over HTTP": f"{serve(folder)}/{files[way].name}" for way in OVER_HTTP}
        places = {way: place for way, place in places.items() if way == "MRC" or way in (options.only or places)}
        seconds: dict[str, list[float]] = {way: [] for way in places}
        memory: dict[str, list[float]] = {way: [] for way in places}
        reading: dict[str, list[float]] = {way: [] for way in places}
        for _ in range(options.rounds):
            for way, path in places.items():
                reading[way].append(read(path))
                out = folder / "picks"
                shutil.rmtree(out, ignore_errors=True)
                line = [INFER, path, "--model", str(model), "--out", str(out), "--threads", options.threads]
                start = time.perf_counter()
                watched = watch(line, LIMIT, None)
                if watched.problem:
                    raise SystemExit(f"{way}: {watched.problem}")
                seconds[way].append(time.perf_counter() - start)
                memory[way].append(watched.memory)
        print(
            f"{describe_machine()}, zarr {zarr.__version__}; {options.size} voxels in float32, {options.threads} "
            f"threads, medians of {options.rounds} interleaved runs\n"
        )
        print(
            "| way | MiB on disk | reading alone, s | s | of MRC | peak MiB | of MRC |\n|---|---|---|---|---|---|---|"
        )
        for way in places:
            path = files[way.removesuffix(", over HTTP")]
            taken, held = statistics.median(seconds[way]), statistics.median(memory[way])
            print(
                f"| {way} | {size_of(path):.0f} | {statistics.median(reading[way]):.2f} | {taken:.1f} | "
                f"{ratio(seconds[way], seconds['MRC']):.2f} | {held:.0f} | {ratio(memory[way], memory['MRC']):.2f} |"
            )


def write_files(folder: Path, size: str) -> dict[str, Path]:
    """The tomogram, by way."""
    with mrcfile.open(write_noise(folder / "noise.mrc", size)) as mrc:
        volume = mrc.data.astype(np.float32)
    volume += np.random.default_rng(2).normal(0, 0.3, volume.shape).astype(np.float32)  # all digits are in use
    write_mrc(folder / "t.mrc", volume, 10.0)
    files = {"MRC": folder / "t.mrc"}
    for way, (name, chunks, codec) in WAYS.items():
        files[way] = folder / name
        store: Any = ZipStore(files[way], mode="w") if name.endswith(".zip") else LocalStore(files[way])
        axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
        level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [10.0] * 3}]}
        content = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}}
        root = zarr.create_group(store, zarr_format=3, attributes=content)  # type: ignore[arg-type]
        own = tuple(min(chunk, length) for chunk, length in zip(chunks, volume.shape, strict=True))
        root.create_array("0", shape=volume.shape, dtype=volume.dtype, chunks=own, compressors=codec)[:] = volume
        store.close()
    return files


class Server(ThreadingHTTPServer):
    request_queue_size = 128


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *words: object) -> None:
        """Nothing."""


@cache
def serve(folder: Path) -> str:
    server = Server(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def ratio(own: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(own, others, strict=True))


def read(path: str) -> float:
    start = time.perf_counter()
    tomogram = open_tomogram(path)
    depth = tomogram.shape[0]
    for z in np.linspace(0, depth - 1, 16).astype(int):
        tomogram.sections(int(z), int(z) + 1)
    for first in range(0, depth, 4):
        tomogram.sections(first, min(first + 4, depth))
    return time.perf_counter() - start


def size_of(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20


if __name__ == "__main__":
    main()
