"""POST /product-analysis: the contract that must never break."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import polars as pl
from flask import Blueprint, Response, current_app, g, request

from shelfwise import answer
from shelfwise.analysis import Analysis
from shelfwise.engines import untrusted
from shelfwise.engines.records import Records, read_json
from shelfwise.errors import InputError, TooLargeError, TooManyRowsError, UnreadableError, excerpt
from shelfwise.metrics import is_result
from shelfwise.model import Model
from shelfwise.notices import Notice
from shelfwise.profile import PROFILES, Profile
from shelfwise.run import analyze_source
from shelfwise.service import media
from shelfwise.service.access import audited
from shelfwise.service.asking import NewRun, as_request, refuse_beyond
from shelfwise.service.asking import Source as JobSource
from shelfwise.service.body import read_body, save_body
from shelfwise.service.contract import LOCATED, QUEUE_ERRORS, answers, endpoint, query, ref
from shelfwise.service.jobs import accepted
from shelfwise.service.kept import idempotency_key, jobs, once, store
from shelfwise.service.parameters import SCORING
from shelfwise.service.problems import Refusal
from shelfwise.service.product_schemas import EXAMPLE
from shelfwise.settings import Settings
from shelfwise.source import Source, from_records, open_source

api = Blueprint("scoring", __name__)
LETTERS = {"iso-8859-1": "latin-1", "latin1": "latin-1", "windows-1252": "cp1252"}
"""What a CSV may be written in besides UTF-8, by its name in Content-Type."""
SMALL = 512 * 1024
"""Bytes of JSON, some 5,000 products, below which requests take turns; see `_turn`."""
_small = Lock()
TABLES = [media.TYPES[kind] for kind in ("csv", "ndjson", "parquet", "arrow")]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@endpoint(
    api, "POST", "/product-analysis",
    scope="analyze",
    summary="Score, tier and cluster a catalogue.",
    description="Scores compare the products of one request with each other. Beyond the "
    "schema of a row: a product_id stands once (1 and \"1\" are the same; with location, the "
    "pair), and all currencies are the same. In CSV, Parquet and Arrow other names of columns "
    "are recognized, and unknown columns come back. Answers other than JSON have the products "
    "alone.",
    query=SCORING,
    body={
        "required": True,
        "content": {
            media.JSON: {
                "schema": {"type": "array", "minItems": 1, "items": ref("Product")},
                "example": EXAMPLE,
            },
            **dict.fromkeys(TABLES, _BINARY),
        },
    },
    answers={
        "200": {
            "description": "The scored products, in the order of the request; with save=1 "
            "Location is where the run is kept.",
            "headers": LOCATED,
            "content": {
                media.JSON: {"schema": {"anyOf": [ref("Answer"), ref("Valid")]}},
                **dict.fromkeys([*TABLES, media.TYPES["xlsx"]], _BINARY),
            },
        },
        **answers("Job", "Too much for an answer at once, or Prefer: respond-async: a job that "
                  "keeps the run. Look at Location.", "202", located=True),
    },
    errors={
        "400": "Not JSON, not gzip, not UTF-8, or cut short; the detail has the offset.",
        "404": "There is no such model.",
        "406": "No medium that Accept names can be written.",
        "413": "More rows or bytes than the limits allow.",
        "415": "A medium that nobody here reads, another charset, or an encoding but gzip.",
        "422": "Rows break the contract; the first 50 problems are listed, all are counted.",
    } | QUEUE_ERRORS,
    idempotent=True,
)  # fmt: skip
def product_analysis() -> Response:
    """Score the products of the body."""
    settings: Settings = current_app.config["SHELFWISE"]
    options = query()
    kind = _kind_of_body()
    wanted = _kind_of_answer()
    as_job = "respond-async" in request.headers.get("Prefer", "").lower()
    try:
        sent = None if as_job else _Sent(read_body(request.environ, settings.max_body_bytes))
    except TooLargeError:
        if settings.max_upload_bytes <= settings.max_body_bytes:
            raise
        sent = None  # A job may have more.
    letters = LETTERS.get(request.mimetype_params.get("charset", "").lower())
    if sent and letters:
        sent.decode(letters)
    if sent is None:
        return _as_job(kind, options, lambda path: save_body(
            request.environ, settings.max_upload_bytes, path))  # fmt: skip
    try:
        return _at_once(kind, wanted, sent, options, settings)
    except TooManyRowsError as error:
        # More rows than are scored at once; a job may have more.
        refuse_beyond(error.rows)
        if settings.max_rows >= settings.max_upload_rows or options["dry_run"] == "1":
            raise
        return _as_job(kind, options, sent.write)


@dataclass(slots=True)
class _Sent:
    """The body of a request, which is let go as soon as its rows are read."""

    body: bytes

    def decode(self, letters: str) -> None:
        """Take the body for text in these letters."""
        try:
            self.body = self.body.decode(letters).encode()
        except UnicodeDecodeError as error:
            raise UnreadableError(f"Byte {error.start} is no letter of {letters}.") from error

    def write(self, path: Path) -> None:
        """Put it into a file."""
        path.write_bytes(self.body)


def _as_job(kind: str, options: dict[str, Any], write: Callable[[Path], None]) -> Response:
    """Keep the body as an upload, and have it analyzed by a worker: 202."""
    if current_app.config["MODEL"] and options["model"] is None:
        raise InputError("A job scores against a kept model: name one with model=NAME.")
    if refused := [name for name in ("extra", "dry_run", "explain", "precision", "raw")
                   if options[name]]:  # fmt: skip
        raise InputError(f"{refused[0]} does not go with a job.", "Ask for it with the results.")
    if options["model"]:
        store().models.get(options["model"])  # Before the body is stored.
    if idempotency_key() is None:
        jobs().must_have_room()  # Before the body is unpacked.
    with store().uploads.arriving(write) as (arrived, digest), once(digest) as attempt:
        if not attempt.repeated:
            refuse_beyond(untrusted.rows_in(arrived, kind))
            jobs().must_have_room()  # Before the body is kept.
            store().uploads.add(kind, f"request.{kind}", arrived.replace, attempt.result_id)
            audited("job.start", attempt.result_id)
        source = JobSource(upload=attempt.result_id)
        asked = NewRun(
            source=source,
            profile=options["profile"] or "standard",
            tiering=options["tiering"] or "quota",
            model=options["model"],
            on_error=options["on_error"] or "reject",
            period_days=options["period_days"],
            label=options["label"],
        )
        return accepted(jobs().enqueue(as_request(asked), attempt.result_id))


def _turn(kind: str, sent: _Sent) -> AbstractContextManager[object]:
    """Where a body of JSON is small, no other small one is computed meanwhile.

    Its computation is thousands of calls too short to let others work beside them. Two such
    requests would fight for Python's lock call by call, and each take twice as long. Of other
    media the size does not tell how much work they are.
    """
    return _small if kind == "json" and len(sent.body) < SMALL else nullcontext()


def _at_once(
    kind: str, wanted: str, sent: _Sent, options: dict[str, Any], settings: Settings
) -> Response:
    """Score the products while the client waits."""
    if options["save"] == "1" and options["dry_run"] != "1":
        return _saved(kind, wanted, sent, options, settings)
    idempotency_key()  # It has no work here, but a wrong one is a mistake all the same.
    model = _model(options)
    with _turn(kind, sent):
        source, valid = _opened(kind, sent, model, options, settings)
        if options["label"]:  # Of rows enough for a job it is the job's.
            raise InputError("label goes with save=1.")
        if options["dry_run"] == "1":
            return Response(msgspec.json.encode(valid), content_type=media.JSON)
        return _answer(_scored(source, model, options, settings), wanted, options)


def _saved(
    kind: str, wanted: str, sent: _Sent, options: dict[str, Any], settings: Settings
) -> Response:
    """Score the products and keep the run; once for an Idempotency-Key."""
    with once(sent.body) as attempt:
        # An alias may point elsewhere by now; the answer is that of the run that was kept.
        again = attempt.repeated and options["model"]
        model = store().runs.get(attempt.result_id).model if again else _model(options)
        with _turn(kind, sent):
            source, _ = _opened(kind, sent, model, options, settings)
            analysis = _scored(source, model, options, settings)
        kept = store().runs.save(
            analysis, source="a request", label=options["label"], origin="api",
            run_id=attempt.result_id,
        )  # fmt: skip
        if not attempt.repeated:
            audited("run.save", kept.id, products=kept.products)
    response = _answer(analysis, wanted, options, run_id=kept.id)
    response.headers["Location"] = f"/v1/runs/{kept.id}"
    return response


def _opened(
    kind: str, sent: _Sent, model: Model | None, options: dict[str, Any], settings: Settings
) -> tuple[Source, dict[str, Any]]:
    """The checked rows, and what a dry run says of them."""
    profile = model.profile if model else PROFILES[options["profile"] or "standard"]
    opened = _records if kind == "json" else _table(kind)
    source, valid = opened(sent.body, profile, options, settings)
    sent.body = b""
    return source, valid


def _scored(
    source: Source, model: Model | None, options: dict[str, Any], settings: Settings
) -> Analysis:
    profile = model.profile if model else PROFILES[options["profile"] or "standard"]
    analysis = analyze_source(
        source,
        profile,
        tiering=options["tiering"] or "quota",
        model=model,
        period=options["period_days"],
        coreset_rows=settings.coreset_rows,
    )
    g.products = analysis.table.height
    current_app.extensions["shelfwise numbers"].products.inc(g.products)
    return analysis


def _model(options: dict[str, Any]) -> Model | None:
    """The model to score against: the one asked for, or the one the server has."""
    fixed: Model | None = current_app.config["MODEL"]
    wanted = options["model"]
    model = fixed
    if wanted is not None and (fixed is None or wanted != fixed.id):
        model = store().models.get(wanted).model
    if model and (options["profile"] or options["tiering"]):
        raise InputError("A model sets profile and tiering: leave them out.")
    return model


Opener = Callable[[bytes, Profile, dict[str, Any], Settings], tuple[Source, dict[str, Any]]]


def _records(
    body: bytes, profile: Profile, options: dict[str, Any], settings: Settings
) -> tuple[Source, dict[str, Any]]:
    """The rows of a JSON array, and what a dry run says of them."""
    keep = options["extra"] == "keep"
    records = read_json(
        body,
        needs=profile.needs,
        zero_price=profile.zero_price,
        on_error=options["on_error"] or "reject",
        max_rows=settings.max_rows,
        keep_extra=keep,
    )
    source = from_records(records)
    source.notices += _about_keys(records, keep=keep)
    return source, _valid(source, records.height)


def _table(kind: str) -> Opener:
    """How rows of another medium are opened."""

    def opened(
        body: bytes, profile: Profile, options: dict[str, Any], settings: Settings
    ) -> tuple[Source, dict[str, Any]]:
        rows, supposed = untrusted.read_table(
            kind, body, settings.max_rows, settings.max_body_bytes
        )
        source = open_source(rows, profile, on_error=options["on_error"] or "reject")
        if supposed:
            read_as = f"The CSV was read with {' and '.join(supposed)}."
            source.notices.insert(0, Notice("csv_read_as", read_as))
        return source, _valid(source, source.table.height)

    return opened


def _answer(
    analysis: Analysis, kind: str, options: dict[str, Any], run_id: str | None = None
) -> Response:
    if kind == "json":
        more = {"run_id": run_id} if run_id else {}
        full = options["precision"] == "full"
        parts = answer.encode(analysis, explain=options["explain"] == "1", full=full, more=more)
        response = Response(parts, content_type=media.JSON)
        if isinstance(parts, list):
            response.content_length = sum(map(len, parts))
        return response
    products: pl.DataFrame = analysis.products
    return Response(
        media.write(products, kind, raw=options["raw"] == "1"),
        content_type=media.content_type(kind),
    )


def _kind_of_body() -> str:
    given = request.environ.get("CONTENT_TYPE", "")
    if given == media.JSON:
        return "json"
    name, _, rest = given.partition(";")
    kind = media.INCOMING.get(name.strip().lower())
    parameters = [p.strip().lower().replace('"', "") for p in rest.split(";") if p.strip()]
    known = ["charset=utf-8", "charset=utf8", "header=present"]
    if kind == "csv":
        known += [f"charset={letters}" for letters in LETTERS]
    fine = all(p in known for p in parameters)
    if kind is None or not fine:
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Content-Type {given[:60]!r} is not understood; send application/json in UTF-8, "
            "or text/csv, application/x-ndjson, Parquet or Arrow.",
            Accept=", ".join(media.INCOMING),
        )
    return kind


def _kind_of_answer() -> str:
    if not request.headers.get("Accept"):
        return "json"
    best = request.accept_mimetypes.best_match([media.JSON, *media.OUTGOING])
    if best is None:
        raise Refusal(
            406, "not_acceptable", "No medium that Accept names can be written.",
            Accept=", ".join(media.OUTGOING),
        )  # fmt: skip
    return media.OUTGOING[best]


def _about_keys(records: Records, *, keep: bool) -> list[Notice]:
    """Warnings about keys that the contract does not have."""
    results = {k: n for k, n in records.unknown.items() if is_result(k)}
    unknown = {k: n for k, n in records.unknown.items() if k not in results}
    notices = []
    if results:
        notices.append(
            Notice(
                "result_keys_ignored",
                f"Keys that name a result were ignored: {_listed(results)}.",
                "Results are computed, never taken from the request.",
            )
        )
    if unknown and not keep:
        notices.append(
            Notice(
                "unknown_keys_dropped",
                f"Unknown keys were dropped: {_listed(unknown)}.",
                "extra=keep gives them back.",
            )
        )
    return notices


def _listed(keys: dict[str, int]) -> str:
    shown = [f"{excerpt(key, 40)} in {count:,}" for key, count in list(keys.items())[:10]]
    more = len(keys) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _valid(source: Source, height: int) -> dict[str, Any]:
    return {
        "status": "valid",
        "products": height,
        "skipped": source.rejected_rows,
        "rejected": answer.rejected_rows(source.rejected),
        "warnings": [notice.to_dict() for notice in source.notices],
    }
