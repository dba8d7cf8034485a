"""A real server of a folder: plain answers to GET and HEAD, as of a web server or of S3, and failures on wish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

MISSING = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>not there</Message></Error>'


@dataclass
class Served:
    """A folder that is served.

    Attributes
    ----------
    url
        Of the folder.
    refuse
        The status to answer a request with, by its path and how often that was asked for; 0: hang up; None: as usual.
    asked
        What was asked for: the method and the path.
    signed
        Whether somebody has signed a request.
    """

    folder: Path
    url: str = ""
    refuse: Callable[[str, int], int | None] = lambda path, times: None
    asked: list[str] = field(default_factory=list)
    signed: bool = False


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    served: Served

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may go."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *words: object) -> None:
        """Nothing."""

    def _answer(self, *, with_body: bool) -> None:
        served, parts = self.server.served, urlsplit(self.path)
        path = unquote(parts.path)
        served.asked.append(f"{self.command} {path}")
        served.signed |= "Authorization" in self.headers
        status = served.refuse(path, served.asked.count(f"{self.command} {path}"))
        file = served.folder / path.lstrip("/")
        if status == 0:
            self.connection.close()
            self.close_connection = True
            return
        if status is not None:
            self._send(status, b"", with_body)
        elif "list-type" in parts.query:
            self._send(200, _listing(file, parse_qs(parts.query).get("prefix", [""])[0]), with_body)
        elif file.is_file():
            facts = file.stat()
            more = {
                "ETag": f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"',
                "Last-Modified": formatdate(facts.st_mtime, usegmt=True),
            }
            self._send(200, file.read_bytes(), with_body, more)
        else:
            self._send(404, MISSING, with_body)

    def _send(self, status: int, body: bytes, with_body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _listing(bucket: Path, prefix: str) -> bytes:
    """All keys at once, as ListObjectsV2 has them."""
    keys = [file.relative_to(bucket).as_posix() for file in sorted(bucket.rglob("*")) if file.is_file()]
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>{(bucket / key).stat().st_size}</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
        if key.startswith(prefix)
    )
    return f'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>'.encode()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve a folder until the block ends."""
    served = Served(folder)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.served, served.url = served, f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
