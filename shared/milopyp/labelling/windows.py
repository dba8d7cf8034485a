"""Which pages are open: those that ask, every so often, what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SEEN = 30.0  # seconds after which a page that has not asked is gone
LEFT = 10.0  # seconds in which a page that is only read again comes back


class Windows:
    """The open pages, by the words that they call themselves."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def seen(self, window: str | None) -> int:
        """A page has asked; how many are open."""
        now = time.monotonic()
        with self._lock:
            if window:
                self._seen[window] = now
            self._seen = {name: at for name, at in self._seen.items() if now - at < SEEN}
            return len(self._seen)

    def gone(self, window: str, then: Callable[[], None] | None) -> None:
        """A page is closed or read again; `then` is called where none has asked a while later."""
        with self._lock:
            self._seen.pop(window, None)
        if then is not None:
            timer = threading.Timer(LEFT, self._when_empty, (then,))
            timer.daemon = True
            timer.start()

    def _when_empty(self, then: Callable[[], None]) -> None:
        if not self.seen(None):
            then()
