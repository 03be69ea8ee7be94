"""The processes that do a worker's jobs: one job at a time each, and kept for the next.

To start a process and to import what decisions need takes seconds, most jobs far less.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

IDLE_SECONDS = 60.0
"""How long a process that has nothing to do is kept."""


class Process:
    """A process that does jobs; what it says comes line by line."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "shelfwise.jobs.work"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ,
            start_new_session=True,  # A signal to the worker's group is not meant for it.
        )  # fmt: skip
        self.fit = False
        """Whether it can do another job: it says so at the end of one."""
        self.idle_since = 0.0
        self._said: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, task: dict[str, Any]) -> None:
        """Have a job done."""
        assert self.popen.stdin
        self.fit = False
        with suppress(BrokenPipeError):  # It died this moment: what it says is its end.
            self.popen.stdin.write(json.dumps(task).encode() + b"\n")
            self.popen.stdin.flush()  # It stays open: its end would end the work.

    def says(self, seconds: float) -> bytes | None:
        """The next line, or None at its end; queue.Empty if there is none for so long."""
        return self._said.get(timeout=seconds)

    def end(self) -> None:
        """Kill it, whatever it does."""
        self.popen.kill()
        self.popen.wait()
        self._reader.join()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> None:
        assert self.popen.stdout
        for line in self.popen.stdout:
            self._said.put(line)
        self._said.put(None)


class Processes:
    """The processes of a worker; for each way to limit memory those that are idle."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._idle: dict[bool, list[Process]] = {False: [], True: []}

    @contextmanager
    def taken(self, *, draws: bool) -> Iterator[Process]:
        """A process for one job; killed at the end, unless it says that it is fit for another."""
        process = self._waiting(draws) or Process(self._environ)
        try:
            yield process
        finally:
            if process.fit:
                process.idle_since = time.monotonic()
                with self._lock:
                    self._idle[draws].append(process)
            else:
                process.end()

    def end_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """End those that have had nothing to do for so long."""
        latest = time.monotonic() - seconds
        with self._lock:
            over = [one for some in self._idle.values() for one in some if one.idle_since <= latest]
            for draws, some in self._idle.items():
                self._idle[draws] = [one for one in some if one not in over]
        for one in over:
            one.end()

    def _waiting(self, draws: bool) -> Process | None:
        while True:
            with self._lock:
                if not self._idle[draws]:
                    return None
                process = self._idle[draws].pop()
            if process.popen.poll() is None:
                return process
            process.end()  # It died meanwhile: somebody killed it.
