"""What a job does, in a process beside the worker: analyze, or make something of a run.

    python -m shelfwise.jobs.work

The request comes as a line of JSON on standard input, which stays open: when it closes,
whoever wanted the work is gone, and it ends. Progress and the outcome go out as lines of
JSON; the outcome says whether the process is `fit` for another request.
The run's id is the job's, so that work done twice is saved once.
"""

import contextlib
import datetime as dt
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shelfwise.engines import files, frames
from shelfwise.engines.frames import Engine
from shelfwise.errors import ShelfwiseError
from shelfwise.insights.sections import QUESTIONS
from shelfwise.jobs import reporting
from shelfwise.jobs.queue import PUBLICATION
from shelfwise.rules import Rules
from shelfwise.run import analyze
from shelfwise.sales import from_sales
from shelfwise.store import Run, Store

REPORT_SECONDS = 0.5
FIT_BYTES = 500_000_000
"""A process that has been larger is not kept: what it leaves in memory is not given back."""


def done(store: Store, task: dict[str, Any]) -> Run:
    """Do what a request asks for; the run that it made, or made something of."""
    request: dict[str, Any] = task["request"]
    if "make" in request:
        return make_request(store, request)
    if "source" in request:
        run = analyze_request(store, task["run_id"], request)
    else:
        run = store.runs.get()
    if request.get("deliver"):
        reporting.prepare(store, run, request["deliver"], say)
    if request.get("publish"):  # With what was made for its report.
        say("publishing")
        store.published.publish(run.id)
    return run


def analyze_request(store: Store, run_id: str, request: dict[str, Any]) -> Run:
    """Analyze what a request asks for, and keep the run under the id that its job has."""
    place, named = _place(store, request["source"])
    model = store.models.get(request["model"]).model if request.get("model") else None
    say("reading")
    with progressing():
        source: Any = place
        columns = request.get("columns")
        engine: Engine | None = "duckdb" if files.is_large(place) else None
        if request.get("sales"):
            source = _sold(store, place, columns, request["sales"])
            columns = engine = None  # What was counted has our names, where it was counted.
            say("scoring")
        analysis = analyze(
            source,
            profile=request.get("profile") or "standard",
            tiering=request.get("tiering") or "quota",
            model=model,
            group_by=request.get("group_by"),
            period=request.get("period_days"),
            columns=columns,
            on_error=request.get("on_error") or "reject",
            engine=engine,
            max_rows=request.get("max_rows"),
        )
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


def _sold(store: Store, lines: str, columns: Any, sales: dict[str, Any]) -> Any:
    """Order lines, counted as a request says."""
    options = {name: sales[name] for name in
               ("dates", "by", "max_rejected", "find_duplicates", "last_price")}  # fmt: skip
    for name in ("catalog", "stock"):
        if sales[name]:
            options[name], _ = _place(store, sales[name])
    if sales["rules"]:
        options["rules"] = Rules.of(sales["rules"], "sales.rules")
    return from_sales(lines, columns=columns, period=(sales["from"], sales["to"]), **options)


def make_request(store: Store, request: dict[str, Any]) -> Run:
    """Make trends, a forecast, elasticities or decisions of a kept run, or publish it."""
    run = store.runs.get(request["run"])
    if request["make"] == PUBLICATION:
        say("publishing")
        return store.published.publish(run.id, request.get("keep") or 0).run
    options: dict[str, Any] = {
        n: request[n] for n in ("horizon", "policy", "since") if n in request
    }
    if request.get("out_of_stock"):
        options["out_of_stock"] = _place(store, request["out_of_stock"])[0]
    if request["make"] in QUESTIONS:
        options["tables"] = {
            name: files.read_table(_place(store, request[name])[0])
            for name in QUESTIONS[request["make"]].tables
            if request.get(name)
        }
    phase = f"making {request['make']}"
    say(phase)
    told = [0.0]

    def progress(share: float) -> None:
        if share == 1.0 or time.monotonic() > told[0] + REPORT_SECONDS:
            told[0] = time.monotonic()
            say(phase, share)

    store.derived.make(run, request["make"], progress=progress, **options)
    return run


def _place(store: Store, source: dict[str, str]) -> tuple[str, str]:
    """Where the rows of a source are, and what its sender calls it."""
    if "upload" not in source:
        return source["place"], source["place"]
    upload = store.uploads.get(source["upload"])
    place = str(store.uploads.path(upload.id))
    _NAMES[place] = upload.name
    return place, upload.name


def _named(text: str) -> str:
    """A message that calls an upload what its sender called it, not where it is kept."""
    for place, name in _NAMES.items():
        text = text.replace(place, name)
    return text


_NAMES: dict[str, str] = {}


def say(phase: str, done: float | None = None) -> None:
    """Tell how far it is."""
    print(json.dumps({"phase": phase, "done": done}), flush=True)
    _now.update(phase=phase)


_now: dict[str, str] = {"phase": "reading"}


@contextlib.contextmanager
def progressing() -> Iterator[None]:
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


def _requests() -> "queue.Queue[bytes]":
    """What comes on standard input; the process ends when it closes: nobody waits any more."""
    found: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        parts: list[bytes] = []
        while part := os.read(0, 65_536):  # Not by a buffered reader: its lock crashes the end.
            head, newline, tail = part.partition(b"\n")
            parts.append(head)
            if newline:  # The next request comes after the outcome of this one.
                found.put(b"".join(parts))
                parts = [tail]
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return found


def _peak_bytes() -> int:
    """The most memory that this process has had; 0 where that is not known."""
    if sys.platform == "win32":
        return 0
    if sys.platform == "linux":  # What getrusage says there counts whoever started it, too.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _limit_memory(size: int, *, draws: bool) -> None:
    """Limit the address space, or what of it can be written to where charts are drawn.

    What draws them reserves more addresses than a machine has memory.
    """
    if size and sys.platform != "win32":
        import resource

        kind = resource.RLIMIT_DATA if draws else resource.RLIMIT_AS
        resource.setrlimit(kind, (size, size))


def main() -> None:
    """Do jobs until one leaves nothing to build on: an unknown error, or much memory."""
    requests, fit = _requests(), True
    while fit:
        task = json.loads(requests.get())
        _limit_memory(task.get("memory_bytes") or 0, draws="delivery" in task["request"])
        _NAMES.clear()
        outcome, fit = _outcome(task)
        fit = fit and _peak_bytes() <= FIT_BYTES
        print(json.dumps(outcome | {"fit": fit}), flush=True)


def _outcome(task: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What became of a job, and whether the process can be trusted with another."""
    try:
        with Store() as store:
            if delivery_id := task["request"].get("delivery"):
                reporting.send(store, delivery_id, say)
                return {"delivery": delivery_id}, True
            run = done(store, task)
            return {"run_id": run.id, "products": run.products}, True
    except ShelfwiseError as error:
        problems = [{"pointer": p.pointer, "detail": p.detail}
                    for p in getattr(error, "problems", ())]  # fmt: skip
        return {"problem": {
            "code": error.code, "detail": _named(str(error)), "errors": problems,
            "error_count": getattr(error, "count", len(problems)),
        }}, True  # fmt: skip
    except MemoryError:
        return {"problem": {
            "code": "out_of_memory", "detail": "The work needs more memory than a job may take. "
            "Give it more (SHELFWISE_JOB_MEMORY), or send fewer products.",
            "errors": [], "error_count": 0,
        }}, False  # fmt: skip
    except Exception:
        traceback.print_exc()  # The worker's log has it.
        return {"problem": {
            "code": "internal_error", "detail": "Something went wrong; the worker's log has it.",
            "errors": [], "error_count": 0,
        }}, False  # fmt: skip


if __name__ == "__main__":
    main()
