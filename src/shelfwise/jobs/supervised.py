"""A worker beside the server, in a process of its own."""

import logging
import os
import subprocess
import sys
import threading
import time

from shelfwise.settings import Settings

RESTART_SECONDS = 0.5
log = logging.getLogger("shelfwise.worker")


class Supervised:
    """A worker in a process of its own beside this one, started again when it dies."""

    def __init__(self, settings: Settings) -> None:
        self._environ = os.environ | settings.environment()
        self._over = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End it; what it was doing goes back into the queue."""
        self._over.set()
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        if self._process.stdin:
            self._process.stdin.close()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "shelfwise.cli", "worker", "--with-parent"],
            stdin=subprocess.PIPE, env=self._environ, start_new_session=True,
        )  # fmt: skip

    def _watch(self) -> None:
        wait = RESTART_SECONDS
        while not self._over.is_set():
            started = time.monotonic()
            self._process.wait()
            if self._over.is_set():
                return
            log.warning("the worker ended with %s; it is started again", self._process.returncode)
            # A worker that dies at once is not started without end at full speed.
            lived = time.monotonic() - started
            wait = RESTART_SECONDS if lived > 60 else min(2 * wait, 60.0)
            if self._over.wait(wait):
                return
            if self._process.stdin:
                self._process.stdin.close()
            self._process = self._start()
