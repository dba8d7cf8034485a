"""Tomograms at URLs, from real servers on this machine: the same picks as from disk, whatever the server does."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra remote is not installed")
pytest.importorskip("s3fs", reason="the extra remote is not installed")

from milopyp_shared import remote_store
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.names import of_file
from milopyp_shared.store_facts import remote_facts
from milopyp_shared.tomogram import open_tomogram
from milopyp_shared.urls import Url, refuse_writing, to_path
from running import outputs, run_line
from served import Served, serving
from toys import TOY, clean_phantom, noise
from zarr_toys import write_store

INFER = "milopyp-infer --model toy.onnx --threads 1"
NO_ACCOUNT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "FSSPEC_S3_ANON")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(TOY, tmp_path / "toy.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remote_store, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(remote_store, "_given_up", set())
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Served]:
    with serving(folder / "www") as served:
        yield served


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, server: Served) -> Iterator[pytest.MonkeyPatch]:
    """S3 is this server, and nobody has credentials."""
    for name in NO_ACCOUNT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    remote_store._filesystem.cache_clear()
    yield monkeypatch
    remote_store._filesystem.cache_clear()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one, other))


# names


@pytest.mark.parametrize(
    "text", ["https://h.org/a/TS_01.ome.zarr", "http://localhost:8000/TS_01.zarr", "s3://b/TS_01.zarr"]
)
def test_a_url_stays_one(text: str, tmp_path: Path) -> None:
    url = to_path(text)
    for same_one in (url, to_path(url), pickle.loads(pickle.dumps(url)), copy.deepcopy(url), url.absolute()):
        assert isinstance(same_one, Url) and (str(same_one), os.fspath(same_one)) == (text, text)
    assert str(url / "1") == f"{text}/1" and str((url / "1").parent) == text and f"{url}" == text
    assert of_file(url / "1") == "TS_01" and to_path(text.replace("h", "H", 1).replace("s3", "S3")).name == url.name
    write_image_list(tmp_path / "l.txt", [ImageEntry("a", url / "1")], absolute=True)
    assert text in (tmp_path / "l.txt").read_text()
    [entry] = read_image_list(tmp_path / "l.txt")
    assert entry.path == url / "1" and entry.folder == Path()
    with pytest.raises(UsageError, match="is a URL; expected a file or folder on disk"):
        refuse_writing(Path(text))  # as click gives it


@pytest.mark.parametrize("text", ["a.mrc", "/data/a.zarr", "c:/a.zarr", "odd:name/a.zarr"])
def test_a_path_stays_one(text: str) -> None:
    assert to_path(text) == Path(text) and not isinstance(to_path(text), Url)


@pytest.mark.parametrize("text", ["https://me:secret@h/a.zarr", "https://h/a.zarr?sig=secret", "s3://secret@b/a.zarr"])
def test_secrets_are_neither_taken_nor_written(text: str, folder: Path) -> None:
    outcome = run_line(f"{INFER} '{text}' --out picks --verbose --log-file log.txt")
    assert outcome.code == 2 and "a URL with a name, password, query" in outcome.err
    assert "secret" not in outcome.err + outcome.out + Path("log.txt").read_text()


# reading


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_the_same_picks_as_from_disk(scheme: str, server: Served, account: pytest.MonkeyPatch) -> None:
    volume = clean_phantom().volume
    write_store(Path("www/b/TS_01.zarr"), volume, levels=2)
    write_store(Path("www/b/c.zarr"), volume, zarr_format=3, shards=(16, 32, 32))
    base = f"{server.url}/b" if scheme == "http" else "s3://b"
    Path("list.txt").write_text(f"image_name rec_path\nshards {base}/c.zarr/0\n")
    assert run_line(f"{INFER} www/b/TS_01.zarr --out disk").code == 0
    told = run_line(f"{INFER} {base}/TS_01.zarr list.txt --out picks")
    assert told.code == 0 and not told.doubts, told.err
    found = outputs(Path("picks"))
    assert outputs(Path("disk")).items() <= found.items() and found["shards.txt"] == found["TS_01.txt"]
    record = json.loads(Path("picks/records/TS_01.json").read_text())["input"]
    assert record["path"] == f"{base}/TS_01.zarr/0" and record["sample"] and "mtime_ns" not in record
    assert not server.signed
    again = run_line(f"{INFER} {base}/TS_01.zarr list.txt --out picks")
    assert again.out.count("is already done") == 2 and "moved" not in again.out
    write_store(Path("www/b/new.zarr"), volume + 1, levels=2)
    Path("www/b/new.zarr/0/0.0.0").replace("www/b/TS_01.zarr/0/0.0.0")
    assert "the tomogram has changed" in run_line(f"{INFER} {base}/TS_01.zarr --out picks --dry-run").out


def test_credentials_are_used_where_there_are_some(server: Served, account: pytest.MonkeyPatch) -> None:
    write_store(Path("www/b/a.zarr"), noise())
    account.setenv("AWS_ACCESS_KEY_ID", "me")
    account.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    open_tomogram("s3://b/a.zarr")
    assert server.signed


def test_only_what_is_needed_is_read(server: Served) -> None:
    data = noise((64, 32, 32))
    write_store(Path("www/a.zarr"), data, chunks=(8, 16, 16))
    tomogram = open_tomogram(f"{server.url}/a.zarr", "xyz")
    server.asked.clear()
    assert same(tomogram.sections(17, 18), data[17:18])
    assert sorted(server.asked) == [f"GET /a.zarr/0/2.{y}.{x}" for y in (0, 1) for x in (0, 1)]


# servers that fail


def test_what_passes_by_itself_is_waited_for(server: Served) -> None:
    data = noise()
    write_store(Path("www/a.zarr"), data)
    server.refuse = lambda path, times: (503, 0)[times % 2] if times <= 2 else None
    assert same(open_tomogram(f"{server.url}/a.zarr").sections(0, len(data)), data)


def test_one_that_dies_takes_no_other_with_it(server: Served) -> None:
    for name in "ab":
        write_store(Path(f"www/{name}.zarr"), noise())
    server.refuse = lambda path, times: 503 if path == "/a.zarr/0/1.0.0" else None
    outcome = run_line(f"{INFER} {server.url}/a.zarr {server.url}/b.zarr --out picks")
    assert outcome.code == 1 and Path("picks/b.txt").exists() and not Path("picks/a.txt").exists()
    [line] = [line for line in outcome.err.splitlines() if line.startswith("failed")]
    assert f"{server.url}/a.zarr: cannot be read (the server answers 503, 4 times)" in line
    assert "Check its name, or try again later." in line


def test_a_host_that_is_gone_is_not_waited_for_again_and_again(folder: Path) -> None:
    with serving(folder) as served:
        url = served.url
    for times in (r", 4 times\)", r"\]\)"):
        with pytest.raises(InputError, match=rf"cannot be read \(Cannot connect.*{times}"):
            open_tomogram(f"{url}/a.zarr")


@pytest.mark.parametrize(
    ("status", "words"), [(403, "may not be read"), (404, "is no group of Zarr"), (400, "answers 400")]
)
def test_what_does_not_pass_is_said_at_once(status: int, words: str, server: Served) -> None:
    server.refuse = lambda path, times: status
    with pytest.raises(InputError, match=words):
        open_tomogram(f"{server.url}/a.zarr")
    assert len(server.asked) == len(set(server.asked))


# stores that are not what they seem


def test_missing_chunks_are_said(server: Served, account: pytest.MonkeyPatch) -> None:
    write_store(Path("www/b/a.zarr"), noise())
    Path("www/b/a.zarr/0/0.0.0").unlink()
    for url, count in ((f"{server.url}/b/a.zarr", "W16 at least 1 of 8"), ("s3://b/a.zarr", "W16 1 of 8")):
        [told] = header_warnings(open_tomogram(url))
        assert told.startswith(f"{count} chunks are not in the store")


def test_every_missing_chunk_that_was_read_is_counted(server: Served) -> None:
    write_store(Path("www/a.zarr"), noise((80, 32, 32)))
    tomogram = open_tomogram(f"{server.url}/a.zarr", "xyz")
    for chunk in ("1.0.0", "3.1.1", "5.1.0"):
        Path(f"www/a.zarr/0/{chunk}").unlink()
    tomogram.sections(0, 80)
    assert header_warnings(tomogram)[0].startswith("W16 at least 3 of 40 chunks")


def test_damage_is_no_failure_of_the_network(server: Served) -> None:
    write_store(Path("www/a.zarr"), noise())
    Path("www/a.zarr/0/1.1.0").write_text("damaged")
    with pytest.raises(InputError, match="the chunk that begins at z, y, x = 8, 16, 0 cannot be decoded"):
        open_tomogram(f"{server.url}/a.zarr").sections(0, 16)


@pytest.mark.parametrize("file", ["0/1.1.1", "0/.zarray"])
def test_a_store_that_changes_is_refused(file: str, server: Served) -> None:
    write_store(Path("www/a.zarr"), noise())
    tomogram, before = open_tomogram(f"{server.url}/a.zarr"), remote_facts(Url(f"{server.url}/a.zarr"))
    tomogram.raise_if_modified()
    changed = Path("www/a.zarr", file)
    changed.write_bytes(changed.read_bytes() + b" ")
    assert remote_facts(Url(f"{server.url}/a.zarr")) != before
    with pytest.raises(InputError, match="has changed while it was read"):
        tomogram.raise_if_modified()
