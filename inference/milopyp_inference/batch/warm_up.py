"""Kernels are made ready while there is other work."""

from __future__ import annotations

import contextlib
import threading

from milopyp_shared import peaks


class WarmUp:
    """Has the kernels compiled, or read from where they are kept, while the network is at the first tomogram.

    Not before: loading numba holds the interpreter's lock, for which the threads that prepare would wait.
    """

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._warm_up, name="milopyp-compile", daemon=True)

    @staticmethod
    def _warm_up() -> None:
        with contextlib.suppress(ImportError):  # of a damaged numba: raised where the kernels are needed
            peaks.warm_up()

    def begin(self) -> None:
        """Begin, if that has not been done."""
        if self._thread.ident is None:
            self._thread.start()

    def end(self) -> None:
        """Wait for what has been begun: a thread that compiles must not outlive the interpreter."""
        if self._thread.ident is not None:
            self._thread.join()
