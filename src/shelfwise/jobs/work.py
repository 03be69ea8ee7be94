"""What a job does, in a process of its own: open a source, analyze it, save the run.

    python -m shelfwise.jobs.work

The request comes as a line of JSON on standard input, which stays open: when it closes,
whoever wanted the work is gone, and it ends. Progress and the outcome go out as lines of
JSON. The run's id is the job's, so that work done twice is saved once.
"""

import contextlib
import datetime as dt
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shelfwise.engines import files, frames, urls
from shelfwise.errors import InputError, ShelfwiseError
from shelfwise.run import analyze
from shelfwise.store import Run, Store

REPORT_SECONDS = 0.5
LARGE_FILE = 200 * 2**20
"""Bytes above which a file is analyzed inside DuckDB instead of in memory."""


def analyze_request(store: Store, run_id: str, request: dict[str, Any]) -> Run:
    """Analyze what a request asks for, and keep the run under the id that its job has."""
    source = request["source"]
    if "upload" in source:
        upload = store.uploads.get(source["upload"])
        place, named = str(store.uploads.path(upload.id)), upload.name
        _NAMES[place] = named
    else:
        place = named = source["place"]
    model = store.models.get(request["model"]).model if request.get("model") else None
    say("reading")
    with reporting():
        analysis = analyze(
            place,
            profile=request.get("profile") or "standard",
            tiering=request.get("tiering") or "quota",
            model=model,
            group_by=request.get("group_by"),
            period=request.get("period_days"),
            columns=request.get("columns"),
            on_error=request.get("on_error") or "reject",
            engine=_engine(place),
        )
        _refuse_beyond(analysis.table.height, request.get("max_rows"))
        say("saving")
        as_of = request.get("as_of")
        return store.runs.save(
            analysis,
            source=named,
            label=request.get("label"),
            as_of=dt.date.fromisoformat(as_of) if as_of else None,
            origin=request.get("origin") or "api",
            run_id=run_id,
        )


def _named(text: str) -> str:
    """A message that calls an upload what its sender called it, not where it is kept."""
    for place, name in _NAMES.items():
        text = text.replace(place, name)
    return text


_NAMES: dict[str, str] = {}


def _engine(place: str) -> Any:
    if urls.is_url(place):
        return None
    path = Path(place)
    many = path.is_dir() or any(sign in path.name for sign in "*?[")
    size = sum(p.stat().st_size for p in files.expanded(path)) if many else path.stat().st_size
    kinds = {files.kind_of(p) for p in (files.expanded(path) if many else [path])}
    return "duckdb" if size > LARGE_FILE and kinds <= {"csv", "parquet"} else None


def _refuse_beyond(rows: int, most: int | None) -> None:
    if most and rows > most:
        raise InputError(f"There are {rows:,} products; {most:,} are allowed.", "Split them.")


def say(phase: str, done: float | None = None) -> None:
    """Tell how far it is."""
    print(json.dumps({"phase": phase, "done": done}), flush=True)
    _now.update(phase=phase)


_now: dict[str, str] = {"phase": "reading"}


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Tell now and then how much of the engine's pass is done."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(REPORT_SECONDS):
            done = frames.progress()
            if done is not None:
                say(_now["phase"], done)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _end_with_parent() -> None:
    """End when standard input closes: nobody waits for the outcome any more."""

    def wait() -> None:
        while os.read(0, 1):  # Not by the buffered reader: its lock would crash the end.
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _limit_memory(size: int) -> None:
    if size and sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main() -> None:
    """Do one job."""
    task = json.loads(sys.stdin.buffer.readline())
    _limit_memory(task.get("memory_bytes") or 0)
    _end_with_parent()
    try:
        with Store() as store:
            run = analyze_request(store, task["run_id"], task["request"])
            outcome: dict[str, Any] = {"run_id": run.id, "products": run.products}
    except ShelfwiseError as error:
        problems = [{"pointer": p.pointer, "detail": p.detail}
                    for p in getattr(error, "problems", ())]  # fmt: skip
        outcome = {"problem": {
            "code": error.code, "detail": _named(str(error)), "errors": problems,
            "error_count": getattr(error, "count", len(problems)),
        }}  # fmt: skip
    except MemoryError:
        outcome = {"problem": {
            "code": "out_of_memory", "detail": "The work needs more memory than a job may take. "
            "Give it more (SHELFWISE_JOB_MEMORY), or send fewer products.",
            "errors": [], "error_count": 0,
        }}  # fmt: skip
    except Exception:
        traceback.print_exc()  # The worker's log has it.
        outcome = {"problem": {
            "code": "internal_error", "detail": "Something went wrong; the worker's log has it.",
            "errors": [], "error_count": 0,
        }}  # fmt: skip
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
