"""Who may talk to the server: requests as they come over the socket."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from labelling.asking import Page

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
REFUSED: list[tuple[str, int, dict[str, Any]]] = [
    ("no token", 401, {"authorization": None}),
    ("wrong token", 401, {"authorization": "Bearer x"}),
    ("empty token", 401, {"authorization": "Bearer "}),
    ("token of letters outside ASCII", 401, {"authorization": "Bearer é"}),
    ("name of another host", 421, {"host": "evil.org"}),
    ("name that begins as ours", 421, {"host": "localhost.evil.org"}),
    ("address of this machine to others", 421, {"host": "192.168.1.7"}),
    ("no host", 400, {"host": None}),
    ("two hosts", 400, {"host": ["localhost", "localhost"]}),
    ("empty host", 421, {"host": ""}),
    ("half an address", 421, {"host": "[::1"}),
    ("origin of another page", 403, {"origin": "http://evil.org"}),
    ("origin of a sandbox", 403, {"origin": "null"}),
    ("origin with TLS", 403, {"origin": "https://127.0.0.1"}),
    ("origin of another port", 403, {"origin": "http://127.0.0.1:1"}),
    ("another site", 403, {"sec_fetch_site": "cross-site"}),
    ("another port's page", 403, {"sec_fetch_site": "same-site"}),
    ("a site of no known kind", 403, {"sec_fetch_site": "elsewhere"}),
]  # fmt: skip


def assert_kept_to_itself(headers: Any) -> None:
    """No other page may read, frame or run what is answered."""
    assert HEADERS.items() <= headers.items()
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control")]
    assert "set-cookie" not in headers
    assert "server" not in headers


@pytest.mark.parametrize(("status", "changes"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(page: Page, status: int, changes: dict[str, Any]) -> None:
    for target in ("/api/state", "/api/slice?tomogram=0&axis=z&at=4"):
        answer = page.request(target, **changes)
        assert answer.status == status
        if status != 400:  # of what is no HTTP/1.1 at all, the library says no more than that
            assert list(answer.json) == ["error"]
            assert_kept_to_itself(answer.headers)


@pytest.mark.parametrize("target", ["/", "/static/label.js"])
def test_the_page_itself_needs_no_token_but_the_host(page: Page, target: str) -> None:
    assert page.request(target, authorization=None).status == 200
    assert page.request(target, host="evil.org").status == 421
    assert page.token not in page.request(target).body.decode()


def test_a_token_in_the_address_or_in_a_cookie_is_none(page: Page) -> None:
    assert page.request(f"/api/state?token={page.token}", authorization=None).status == 401
    assert page.request("/api/state", authorization=None, cookie=f"token={page.token}").status == 401
    assert page.request("/api/state", authorization=f"Basic {page.token}").status == 401
    assert page.request("/%61pi/state", authorization=None).status == 401


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:1"])
def test_a_loopback_name_with_any_port(page: Page, host: str) -> None:
    """As ``ssh -L`` makes it."""
    answer = page.request("/api/state", host=host, origin=f"http://{host}", sec_fetch_site="same-origin")
    assert answer.status == 200
    assert_kept_to_itself(answer.headers)
    assert page.request("/api/state", host=host, sec_fetch_site="none").status == 200


def test_a_preflight_gets_no_leave(page: Page) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    for origin, status in (("http://evil.org", 403), (f"http://127.0.0.1:{page.port}", 405)):
        answer = page.request("/api/edit", "OPTIONS", origin=origin, **asked)
        assert answer.status == status
        assert_kept_to_itself(answer.headers)


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fguard.py", "../guard.py", "%2e%2e/guard.py", "..%5cguard.py", "/etc/passwd", "%2fetc%2fpasswd",
        "__init__.py", "label.js%00.css", ".", "", "LABEL.JS", "label", "../../../../../../etc/passwd",
    ],
)  # fmt: skip
def test_only_parts_of_the_page_are_handed_out(page: Page, name: str) -> None:
    answer = page.request(f"/static/{name}")
    assert answer.status == 404, answer.body
    assert_kept_to_itself(answer.headers)


def test_every_answer_keeps_to_itself(page: Page) -> None:
    found = {
        page.request("/").status: page.request("/").headers,
        page.request("/nowhere").status: page.request("/nowhere").headers,
        page.request("/api/edit").status: page.request("/api/edit").headers,
        page.ask("edit", b"{").status: page.ask("edit", b"{").headers,
        page.request("/", "PATCH").status: page.request("/", "PATCH").headers,
    }
    assert set(found) == {200, 404, 405, 400}
    for headers in found.values():
        assert_kept_to_itself(headers)


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(1 << 30), 413), (str((8 << 20) + 1), 413), ("-1", 400), ("abc", 400), ("9" * 19, 413), ("9" * 5000, 400)],
)
def test_bodies_that_claim_a_size(page: Page, length: str, status: int) -> None:
    """Nothing of them is waited for."""
    assert page.request("/api/edit", "POST", content_length=length).status == status
    assert page.state()


def test_a_body_without_end(page: Page) -> None:
    piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    answer = page.request("/api/edit", "POST", piece * 8 + b"1\r\n \r\n", transfer_encoding="chunked")
    assert answer.status == 413
    assert answer.json == {"error": "more than 8 MB"}
    assert_kept_to_itself(answer.headers)


def test_no_other_protocols(page: Page) -> None:
    """A page of another site could open a WebSocket without asking."""
    upgrade = {"upgrade": "websocket", "sec_websocket_key": "x", "sec_websocket_version": "13"}
    assert page.request("/api/state", authorization=None, **upgrade).status == 401
    assert page.request("/", **upgrade, sec_fetch_site="cross-site").status == 403


def test_a_header_without_end(page: Page) -> None:
    with suppress(ConnectionError):  # nobody is there any more to read the rest
        assert page.request("/api/state", x_window="x" * (1 << 17)).status in (400, 431)
    assert page.state()
