"""/v1/runs/{id}/report.{document}: what a manager reads, of a run that is kept."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from urllib.parse import quote

from flask import Blueprint, Response, current_app

from shelfwise import reports
from shelfwise.errors import InputError, OutputError
from shelfwise.formats import Formats
from shelfwise.reports.web import policy
from shelfwise.service import download
from shelfwise.service.contract import STORE_ERRORS, endpoint, parameter, query
from shelfwise.service.kept import store
from shelfwise.service.problems import Refusal
from shelfwise.service.tokens import TOKEN
from shelfwise.settings import Settings
from shelfwise.store.run import Run

api = Blueprint("reports", __name__)
log = logging.getLogger("shelfwise.service")
AT_ONCE = 2
"""How many reports are made at the same time: each keeps a processor busy."""
SECONDS = 300
_making = BoundedSemaphore(AT_ONCE)


@endpoint(
    api, "GET", "/v1/runs/{run_id}/report.{document}",
    scope="read",
    summary="The report on a run, for people: PDF, one web page, or a workbook.",
    description="It tells what was made of the run: trends, and what changed, where somebody has "
    "made them; inventory and suppliers are made for it where nobody has. With `supplier` it is "
    "one page about that supplier.",
    query={"supplier": parameter("One page about this supplier.", type="string", maxLength=255),
           **TOKEN},
    answers={"200": {"description": "The report.", "content": {
        media.partition(";")[0]: download.BINARY for media in reports.FORMATS.values()
    }}},
    errors={
        "404": "There is no such run, or no such supplier.",
        "422": "A supplier is asked for as a workbook.",
        "503": "Others are being made, or the database does not answer; Retry-After says when.",
    } | {k: v for k, v in STORE_ERRORS.items() if k != "503"},
)  # fmt: skip
def run_report(run_id: str, document: str) -> Response:
    """The report on a run."""
    supplier = query()["supplier"]
    return document_of(store().runs.get(run_id), document, supplier)


def document_of(run: Run, document: str, supplier: str | None = None) -> Response:
    """The report on a run, or a page about one supplier, as the API and the dashboard give it."""
    if supplier is not None and document == "xlsx":
        raise InputError("A page about a supplier is no workbook.", "Ask for report.pdf or .html.")
    derived = [table.sha256 for table in store().derived.all(run)]
    settings: Settings = current_app.config["SHELFWISE"]
    beside = (run.label or "", settings.locale, settings.currency)
    etag = download.etag_of(run, *beside, *derived, store().decisions.state())
    if download.is_known(etag):
        return download.cached(Response(status=304), etag)
    with _turn():
        if document == "xlsx":
            content = _apart(run, settings)
        else:
            formats = Formats(settings.locale, settings.currency)
            made = reports.of_run(store(), run, supplier=supplier, formats=formats)
            content = reports.render(made, document)
    response = Response(content, content_type=reports.FORMATS[document])
    name = "-".join(filter(None, (str(run.as_of), run.id[:12], supplier or "report")))
    kind = "inline" if document == "html" else "attachment"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    response.headers["Content-Disposition"] = (
        f"{kind}; filename=\"{plain}.{document}\"; filename*=UTF-8''{quote(name)}.{document}"
    )
    if document == "html":
        response.headers["Content-Security-Policy"] = policy() + "; frame-ancestors 'none'"
    return download.cached(response, etag)


@contextmanager
def _turn() -> Iterator[None]:
    """One of the few turns; 503 where none comes soon."""
    if not _making.acquire(timeout=20):
        raise Refusal(503, "busy", "Other reports are being made.", Retry_After="10")
    try:
        yield
    finally:
        _making.release()


def _apart(run: Run, settings: Settings) -> bytes:
    """A workbook, made in a process of its own: it would hold up all other requests."""
    with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
        place = Path(folder) / "report.xlsx"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "shelfwise.reports", run.id, str(place)],
                env=os.environ | settings.environment(), capture_output=True, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise OutputError(
                f"The workbook took longer than {SECONDS} s.",
                "`shelfwise report RUN -o report.xlsx` takes the time that it needs.",
            ) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            log.error("a workbook could not be made: %s", said)
            raise OutputError("The workbook could not be made; the log says why.")
        return place.read_bytes()
