"""Uploads, jobs and schedules: through a real server with a real worker beside it."""

import gzip
import io
import json
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient
from test_v1_runs import get

import shelfwise
from doors import DATABASES, PATH, Answer, ClientDoor, Door, LiveDoor, database_of, serving
from kinds import shop, sold
from postgresql import new_database
from shelfwise.errors import InputError
from shelfwise.jobs.worker import run_of
from shelfwise.service.asking import allowed
from shelfwise.settings import load_settings

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def written(rows: list[dict[str, Any]], how: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    getattr(pl.DataFrame(rows), how)(buffer, **options)
    return buffer.getvalue()


BODY = written(shop(40), "write_csv")
HOMES: dict[str, Path] = {}
"""Where a server keeps what it has: its folder `open` is beside that."""


@pytest.fixture(scope="module", params=DATABASES)
def working(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveDoor]:
    """A server with a worker, which may read one folder."""
    home = tmp_path_factory.mktemp("working")
    (home / "open").mkdir()
    (home / "open" / "shop.csv").write_bytes(BODY)
    (home / "secret.csv").write_bytes(BODY)
    (home / "open" / "link.csv").symlink_to(home / "secret.csv")
    variables = {
        "SHELFWISE_SOURCES": f"{home / 'open'},sqlite:///{home / 'shop.db'}",
        "SHELFWISE_MAX_ROWS": "100",
        "SHELFWISE_MAX_BODY_BYTES": "20000",
        "SHELFWISE_MAX_UPLOAD_ROWS": "5000",
        "SHELFWISE_MAX_UPLOAD_BYTES": "1MB",
        "SHELFWISE_JOB_WORKERS": "2",
        "SHELFWISE_DATABASE_URL": database_of(request),
    }
    with serving(home, "--worker", **variables) as door:
        HOMES[door.url] = home
        yield door


@pytest.fixture
def idle(database_url: str, tmp_path: Path, client_of: Callable[..., FlaskClient]) -> Door:
    """The application without a worker: what is asked for waits."""
    return ClientDoor(
        client_of(
            data_dir=tmp_path / "kept", database_url=database_url, sources=(str(tmp_path / "in"),)
        )
    )


def send(door: Door, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return door(content, path=path, method=method, headers=given)


def upload(door: Door, body: bytes, kind: str, **headers: str) -> Answer:
    given = {"Content-Type": kind} | {n.replace("_", "-"): v for n, v in headers.items()}
    return door(body, path="/v1/uploads?name=shop", headers=given)


def over(door: Door, answer: Answer, seconds: float = 60) -> dict[str, Any]:
    """The job that an answer leads to, once it is over."""
    assert answer.status == 202, answer.body
    path, end = answer.headers["location"], time.monotonic() + seconds
    while True:
        found = get(door, path)
        job: dict[str, Any] = found.ok()
        if job["state"] in ("succeeded", "failed", "cancelled"):
            assert "retry-after" not in found.headers
            return job
        assert found.headers["retry-after"] == "1"
        assert time.monotonic() < end, job
        time.sleep(0.2)


def test_a_file_is_uploaded_looked_at_and_analyzed(working: LiveDoor) -> None:
    kept = upload(working, BODY, CSV)
    assert kept.status == 201
    shown = kept.json()
    assert shown["kind"] == "csv"
    assert shown["bytes"] == len(BODY)
    assert shown["missing"] == shown["problems"] == []
    assert {c["name"]: c["taken_as"] for c in shown["columns"]}["units_sold"] == "units_sold"
    assert len(shown["rows"]) == 20
    assert get(working, kept.headers["location"]).ok() == shown
    asked = {"source": {"upload": shown["id"]}, "label": "Uploaded", "as_of": "2026-03-31"}
    started = send(working, "POST", "/v1/runs", asked)
    job = over(working, started)
    assert job["state"] == "succeeded"
    assert job["progress"] == {"phase": None, "done": 1.0}
    run = get(working, f"/v1/runs/{job['run_id']}").ok()
    assert (run["label"], run["as_of"], run["source"]) == ("Uploaded", "2026-03-31", "shop")
    rows = get(working, f"/v1/runs/{job['run_id']}/products.json?limit=1000").ok()["data"]
    expected = shelfwise.analyze(shop(40)).to_dict()["data"]
    scores = {str(r["product_id"]): r["performance_score"] for r in rows}
    assert scores == {str(r["product_id"]): r["performance_score"] for r in expected}


@pytest.mark.parametrize("kind", ["json", "csv", "ndjson", "parquet", "xlsx", "arrow"])
def test_every_kind_of_file_is_analyzed(working: LiveDoor, kind: str) -> None:
    media = {"json": "application/json", "csv": CSV, "ndjson": "application/x-ndjson",
             "parquet": "application/vnd.apache.parquet", "xlsx": XLSX,
             "arrow": "application/vnd.apache.arrow.file"}  # fmt: skip
    how = {"json": "write_json", "xlsx": "write_excel", "arrow": "write_ipc"}
    body = written(shop(30), how.get(kind, f"write_{kind}"))
    kept = upload(working, body, media[kind])
    assert kept.status == 201, kept.body
    assert kept.json()["sampled"] == 30
    job = over(
        working, send(working, "POST", "/v1/runs", {"source": {"upload": kept.json()["id"]}})
    )
    assert job["state"] == "succeeded", job


def test_more_than_is_scored_at_once_becomes_a_job(working: LiveDoor) -> None:
    many = working(json.dumps(shop(150)).encode(), path=f"{PATH}?label=Many")
    job = over(working, many)
    assert get(working, f"/v1/runs/{job['run_id']}").ok()["products"] == 150
    large = working(json.dumps(shop(400)).encode(), path=PATH)
    assert get(working, f"/v1/runs/{over(working, large)['run_id']}").ok()["products"] == 400
    asked = working(json.dumps(shop(3)).encode(), headers={"Prefer": "respond-async"})
    assert over(working, asked)["state"] == "succeeded"


SENT: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "plain": (lambda body: body, False),
    "chunked": (lambda body: body, True),
    "packed": (gzip.compress, False),
    "packed and chunked": (gzip.compress, True),
    "packed in parts": (
        lambda body: gzip.compress(body[:9_000]) + gzip.compress(body[9_000:]), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pack", "chunked"), SENT.values(), ids=SENT)
def test_a_body_counts_as_it_is_unpacked_however_it_is_sent(
    client_of: Callable[..., FlaskClient],
    tmp_path: Path,
    pack: Callable[[bytes], bytes],
    chunked: bool,
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path, max_body_bytes=20_000, max_upload_bytes=100_000))
    coding = {} if pack(b"x") == b"x" else {"Content-Encoding": "gzip"}
    small, large, huge = (written(shop(n), "write_json") for n in (150, 400, 2_000))
    assert len(small) < 20_000 < len(large) < 100_000 < len(huge)
    door(pack(small), headers=coding, chunked=chunked).ok()
    accepted = door(pack(large), headers=coding, chunked=chunked)
    assert accepted.status == 202, accepted.body
    assert get(door, f"/v1/uploads/{accepted.json()['id']}").ok()["bytes"] == len(large)
    door(pack(huge), headers=coding, chunked=chunked).problem(413)
    assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_a_job_that_fails_says_why(working: LiveDoor) -> None:
    bad = [row | {"price": -1} for row in shop(3)]
    job = over(working, working(json.dumps(bad).encode(), headers={"Prefer": "respond-async"}))
    assert job["state"] == "failed"
    assert job["run_id"] is None
    assert job["error"]["code"] == "rejected_rows"
    assert job["error"]["error_count"] == 3
    assert job["error"]["errors"][0]["pointer"] == "/0/price"
    many = upload(working, written(shop(6_000), "write_csv"), CSV).json()["id"]
    job = over(working, send(working, "POST", "/v1/runs", {"source": {"upload": many}}))
    assert job["error"]["code"] == "too_many_rows"
    assert "6,000 rows are more than the 5,000" in job["error"]["detail"]


COUNTED = {
    "parquet": ("application/vnd.apache.parquet", "write_parquet"),
    "arrow": ("application/vnd.apache.arrow.file", "write_ipc"),
    "stream": ("application/vnd.apache.arrow.stream", "write_ipc_stream"),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_more_rows_than_a_job_may_have_are_refused_unread(
    client_of: Callable[..., FlaskClient], tmp_path: Path, kind: str
) -> None:
    media, how = COUNTED[kind]
    home, opened = tmp_path / "kept", tmp_path / "open"
    opened.mkdir()
    door = ClientDoor(client_of(data_dir=home, max_rows=10, max_upload_rows=50,
                                sources=(str(opened),)))  # fmt: skip
    few, many = (written(shop(n), how) for n in (50, 51))

    def refused(answer: Answer) -> None:
        document = answer.problem(413)
        assert document["type"] == "urn:shelfwise:problem:too_many_rows"
        assert "51 rows are more than the 50" in document["detail"]

    for headers in ({"Prefer": "respond-async"}, {}):
        given = {"Content-Type": media} | headers
        refused(door(many, headers=given))
        assert list((home / "uploads").glob("*")) == []
    assert door(few, headers=given | {"Prefer": "respond-async"}).status == 202
    if kind == "stream":
        return  # It is no file to be uploaded.
    kept = upload(door, many, media).json()["id"]
    refused(send(door, "POST", "/v1/runs", {"source": {"upload": kept}}))
    # Of order lines there may be more than of products.
    lines = {"source": {"upload": kept}, "sales": {}}
    assert send(door, "POST", "/v1/runs", lines).status == 202
    if kind == "parquet":
        (opened / "many.parquet").write_bytes(many)
        refused(send(door, "POST", "/v1/runs", {"source": {"place": str(opened)}}))
    assert len(get(door, "/v1/jobs").ok()["data"]) == 2


@pytest.mark.parametrize("kind", ["json", "csv", "ndjson"])
def test_rows_that_were_counted_are_refused_at_once(
    client_of: Callable[..., FlaskClient], tmp_path: Path, kind: str
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path, max_rows=10, max_upload_rows=50))
    media = {"json": "application/json", "csv": CSV, "ndjson": "application/x-ndjson"}[kind]
    for rows, status in ((10, 200), (11, 202), (50, 202), (51, 413)):
        body = written(shop(rows), f"write_{kind}")
        assert door(body, headers={"Content-Type": media}).status == status, rows


def test_repairs_and_other_names_go_with_a_job(working: LiveDoor) -> None:
    rows = [
        {"Artikel": r["product_id"], "Name": r["name"], "Verkauft": r["units_sold"],
         "Preis": f"{r['price']}".replace(".", ","), "Lager": r["stock"]}
        for r in shop(20)
    ]  # fmt: skip
    kept = upload(working, written(rows, "write_csv", separator=";"), CSV).json()
    assert kept["missing"]
    assert kept["read_as"] == ["; between cells"]
    names = {"Artikel": "product_id", "Preis": "price", "Verkauft": "units_sold", "Lager": "stock"}
    body = {"source": {"upload": kept["id"]}, "on_error": "repair", "columns": names}
    job = over(working, send(working, "POST", "/v1/runs", body))
    assert job["state"] == "succeeded", job


def test_only_the_folders_that_are_open_are_read(working: LiveDoor) -> None:
    settings = HOMES[working.url]
    fine = {"source": {"place": str(settings / "open" / "shop.csv")}}
    assert over(working, send(working, "POST", "/v1/runs", fine))["state"] == "succeeded"
    whole = {"source": {"place": str(settings / "open" / "*.none")}}
    assert over(working, send(working, "POST", "/v1/runs", whole))["state"] == "failed"
    closed = ("secret.csv", "open/link.csv", "open/../secret.csv", "opener.csv", "")
    urls = ("/etc/passwd", "postgresql://h/d/t", "file:///etc/passwd", "s3://bucket/x.csv")
    for place in (*(str(settings / name) for name in closed), *urls):
        refused = send(working, "POST", "/v1/runs", {"source": {"place": place}}).problem(422)
        assert "may not be read" in refused["detail"]


def test_a_job_waits_for_a_worker_and_can_be_cancelled(idle: Door) -> None:
    started = idle(json.dumps(shop(3)).encode(), headers={"Prefer": "respond-async"})
    job = started.json()
    assert started.status == 202
    assert job["state"] == "queued"
    assert get(idle, "/v1/jobs").ok()["data"] == [job]
    cancelled = send(idle, "DELETE", f"/v1/jobs/{job['id']}").ok()
    assert cancelled["state"] == "cancelled"
    assert send(idle, "DELETE", f"/v1/jobs/{job['id']}").ok()["state"] == "cancelled"
    get(idle, "/v1/jobs/nope").problem(404)


def test_a_job_with_a_key_is_started_once(idle: Door) -> None:
    key = {"Idempotency-Key": "k-1", "Prefer": "respond-async"}
    first = idle(json.dumps(shop(3)).encode(), headers=key)
    again = idle(json.dumps(shop(3)).encode(), headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert len(get(idle, "/v1/jobs").ok()["data"]) == 1
    idle(json.dumps(shop(4)).encode(), headers=key).problem(422)
    body = {"source": {"upload": first.json()["id"]}}
    jobs = [send(idle, "POST", "/v1/runs", body, Idempotency_Key="k-2").json()["id"]
            for _ in range(2)]  # fmt: skip
    assert jobs[0] == jobs[1]
    assert len(get(idle, "/v1/jobs").ok()["data"]) == 2


def test_jobs_are_listed_page_by_page(idle: Door) -> None:
    kept = upload(idle, BODY, CSV).json()["id"]
    started = [
        send(idle, "POST", "/v1/runs", {"source": {"upload": kept}}).json()["id"] for _ in range(5)
    ]
    found, path = [], "/v1/jobs?limit=2"
    while path:
        answer = get(idle, path)
        found += [job["id"] for job in answer.ok()["data"]]
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert sorted(found) == sorted(started)


@pytest.fixture(params=["sqlite", "postgresql", "live"])
def small_queue(
    request: pytest.FixtureRequest, tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> Iterator[tuple[Door, Path, str]]:
    """A door where two jobs may wait, its folder, and a run of order lines there."""
    run = shelfwise.analyze(shelfwise.from_sales(sold()[0], catalog=sold()[1]))
    given: dict[str, Any] = {"data_dir": tmp_path, "max_queued": 2, "sources": (str(tmp_path),)}
    if request.param == "postgresql":
        given["database_url"] = new_database(request.getfixturevalue("postgresql"))
    with shelfwise.Store(load_settings({}, **given)) as store:
        run_id = store.runs.save(run).id
    if request.param != "live":
        yield ClientDoor(client_of(**given)), tmp_path, run_id
        return
    variables = {"SHELFWISE_MAX_QUEUED": "2", "SHELFWISE_SOURCES": str(tmp_path)}
    with serving(tmp_path, **variables) as door:
        yield door, tmp_path, run_id


def test_a_full_queue_takes_no_more_and_says_when_to_ask_again(
    small_queue: tuple[Door, Path, str],
) -> None:
    door, home, run = small_queue
    place = {"source": {"place": str(home / "shop.csv")}}
    async_ = {"Prefer": "respond-async"}
    body = json.dumps(shop(3)).encode()
    send(door, "POST", "/v1/schedules", {"name": "often", "cron": "0 6 * * 1", "run": place})
    first = send(door, "POST", "/v1/runs", place, Idempotency_Key="one")
    second = door(body, headers=async_ | {"Idempotency-Key": "two"})
    assert (first.status, second.status) == (202, 202)
    kept = sorted((home / "uploads").iterdir())

    def refused(answer: Answer) -> None:
        assert answer.problem(503)["type"] == "urn:shelfwise:problem:queue_full"
        assert answer.headers["retry-after"] == "5"

    for headers in ({}, {"Idempotency-Key": "three"}):
        refused(door(body, headers=async_ | headers))
        refused(send(door, "POST", "/v1/runs", place, **headers))
        for kind in ("trends", "forecast", "elasticity"):
            refused(send(door, "POST", f"/v1/runs/{run}/{kind}", {}, **headers))
    refused(send(door, "POST", "/v1/schedules/often/trigger"))
    assert sorted((home / "uploads").iterdir()) == kept
    assert len(get(door, "/v1/jobs").ok()["data"]) == 2
    # What was taken before is no new job.
    again = send(door, "POST", "/v1/runs", place, Idempotency_Key="one")
    assert (again.status, again.json()["id"]) == (202, first.json()["id"])
    again = door(body, headers=async_ | {"Idempotency-Key": "two"})
    assert (again.status, again.json()["id"]) == (202, second.json()["id"])
    send(door, "DELETE", first.headers["location"]).ok()
    assert send(door, "POST", f"/v1/runs/{run}/trends", {}, Idempotency_Key="three").status == 202
    refused(send(door, "POST", "/v1/runs", place))


@pytest.mark.parametrize("option", ["explain=1", "extra=keep", "dry_run=1", "precision=full"])
def test_what_does_not_go_with_a_job_is_refused(idle: Door, option: str) -> None:
    answer = idle(json.dumps(shop(3)).encode(), path=f"{PATH}?{option}",
                  headers={"Prefer": "respond-async"})  # fmt: skip
    assert "does not go with a job" in answer.problem(422)["detail"]


def workbook(*parts: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return buffer.getvalue()


UPLOADS: dict[str, tuple[str, bytes, int]] = {
    "empty": (CSV, b"", 400),
    "header only": (CSV, b"product_id,name\n", 422),
    "no parquet": ("application/vnd.apache.parquet", b"nonsense", 422),
    "no excel": (XLSX, b"nonsense", 422),
    "macros": (XLSX, workbook(("xl/vbaProject.bin", b"x")), 415),
    "zip bomb": (XLSX, workbook(("xl/worksheets/sheet1.xml", b"0" * 5_000_000)), 413),
    "no sheet": (XLSX, workbook(("a.txt", b"x")), 422),
    "stream as file": ("application/vnd.apache.arrow.file", b"\xff\xff\xff\xff", 422),
    "broken json": ("application/json", b"[{", 400),
    "no objects": ("application/json", b"[1, 2]", 422),
    "unknown medium": ("text/html", b"<p>", 415),
    "too large": (CSV, b"x" * 1_200_000, 413),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_uploads_that_do_not_fit_are_refused_and_not_kept(
    client_of: Callable[..., FlaskClient], tmp_path: Path, name: str
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path, max_upload_bytes=1_000_000))
    kind, body, status = UPLOADS[name]
    upload(door, body, kind).problem(status)
    assert list((tmp_path / "uploads").glob("*")) == []


def test_gzip_is_unpacked_and_bombs_are_refused(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path, max_upload_bytes=1_000_000))
    packed = {"Content_Encoding": "gzip"}
    assert upload(door, gzip.compress(BODY), CSV, **packed).json()["bytes"] == len(BODY)
    upload(door, gzip.compress(b"x" * 50_000_000), CSV, **packed).problem(413)
    upload(door, gzip.compress(BODY)[:-9], CSV, **packed).problem(400)
    upload(door, b"nonsense", CSV, **packed).problem(400)
    upload(door, BODY, CSV, Content_Encoding="br").problem(415)


def test_uploads_are_removed(idle: Door) -> None:
    kept = upload(idle, BODY, CSV)
    assert send(idle, "DELETE", kept.headers["location"]).status == 204
    get(idle, kept.headers["location"]).problem(404)
    send(idle, "POST", "/v1/runs", {"source": {"upload": kept.json()["id"]}}).problem(404)


def test_a_schedule_is_added_paused_triggered_and_deleted(idle: Door, tmp_path: Path) -> None:
    place = {"source": {"place": str(tmp_path / "in" / "shop.csv")}, "label": "Weekly"}
    asked = {"name": "monday", "cron": "0 6 * * 1", "time_zone": "Europe/Berlin", "run": place}
    made = send(idle, "POST", "/v1/schedules", asked)
    assert made.status == 201
    found = get(idle, made.headers["location"]).ok()
    assert (found["cron"], found["time_zone"], found["active"]) == ("0 6 * * 1", "Europe/Berlin",
                                                                   True)  # fmt: skip
    assert found["request"]["label"] == "Weekly"
    assert [one["name"] for one in get(idle, "/v1/schedules").ok()["data"]] == ["monday"]
    send(idle, "POST", "/v1/schedules", asked).problem(422)
    assert send(idle, "PATCH", "/v1/schedules/monday", {"active": False}).ok()["active"] is False
    assert send(idle, "PATCH", "/v1/schedules/monday", {"active": True}).ok()["active"] is True
    assert send(idle, "DELETE", "/v1/schedules/monday").status == 204
    get(idle, "/v1/schedules/monday").problem(404)


@pytest.mark.parametrize(
    "change", [{"cron": "every day"}, {"cron": "99 99 * * *"}, {"time_zone": "Mars/Olympus"},
               {"name": "a b"}, {"run": {"source": {"place": "/etc/passwd"}}}, {"run": {}},
               {"run": {"source": {"upload": "abc"}}}],
)  # fmt: skip
def test_schedules_that_do_not_fit_are_refused(
    idle: Door, tmp_path: Path, change: dict[str, Any]
) -> None:
    place = {"source": {"place": str(tmp_path / "in" / "shop.csv")}}
    asked = {"name": "monday", "cron": "0 6 * * 1", "run": place} | change
    send(idle, "POST", "/v1/schedules", asked).problem(422)
    assert get(idle, "/v1/schedules").ok()["data"] == []


def test_a_triggered_and_a_timed_schedule_make_runs(working: LiveDoor) -> None:
    place = {"source": {"place": str(HOMES[working.url] / "open" / "shop.csv")}, "label": "Again"}
    asked = {"name": "seconds", "cron": "*/2 * * * * *", "run": place}
    send(working, "POST", "/v1/schedules", asked)
    try:
        triggered = send(working, "POST", "/v1/schedules/seconds/trigger")
        job = over(working, triggered)
        assert job["state"] == "succeeded"
        end = time.monotonic() + 60
        while len(_scheduled(working)) < 2:
            assert time.monotonic() < end
            time.sleep(0.5)
    finally:
        send(working, "DELETE", "/v1/schedules/seconds")
    runs = [r for r in get(working, "/v1/runs?limit=1000").ok()["data"] if r["label"] == "Again"]
    assert {run["origin"] for run in runs} == {"schedule"}
    assert all(run["id"].isalnum() for run in runs)


@pytest.mark.parametrize("kind", ["folder", "pattern", "table"])
def test_a_schedule_reads_a_folder_a_pattern_or_a_table(working: LiveDoor, kind: str) -> None:
    home = HOMES[working.url]
    parts = home / "open" / "parts"
    parts.mkdir(exist_ok=True)
    for n in range(2):
        pl.DataFrame(shop(40)[20 * n : 20 * n + 20]).write_csv(parts / f"part{n}.csv")
    place = {"folder": str(parts), "pattern": str(parts / "*.csv"), "table": table(home)}[kind]
    name = f"reads_{kind}"
    asked = {"name": name, "cron": "0 6 * * 1", "run": {"source": {"place": place}}}
    made = send(working, "POST", "/v1/schedules", asked)
    assert made.status == 201, made.body
    job = over(working, send(working, "POST", f"/v1/schedules/{name}/trigger"))
    assert job["state"] == "succeeded", job
    assert get(working, f"/v1/runs/{job['run_id']}").ok()["products"] == 40


def table(home: Path) -> str:
    """The URL of a table of products in a database of SQLite."""
    with closing(sqlite3.connect(home / "shop.db")) as connection:
        connection.execute("DROP TABLE IF EXISTS products")
        connection.execute(
            "CREATE TABLE products (product_id INT, name TEXT, price REAL, units_sold REAL, "
            "stock REAL)"
        )
        rows = [tuple(row.values())[:5] for row in shop(40)]
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
    return f"sqlite:///{home / 'shop.db'}/products"


def _scheduled(door: Door) -> list[dict[str, Any]]:
    jobs = get(door, "/v1/jobs?limit=1000").ok()["data"]
    return [job for job in jobs if job["id"].startswith("sched-seconds-2") and job["run_id"]]


def test_the_run_of_a_timed_job_sorts_by_its_time() -> None:
    earlier = run_of("sched-monday-2026-03-02T06:00:00+01:00")
    later = run_of("sched-monday-trigger-2026-03-02T05:00:00.001+00:00")
    assert earlier == run_of("sched-monday-2026-03-02T06:00:00+01:00")
    assert earlier[:12] < later[:12]
    assert len(earlier) == 22
    assert run_of("01a20741418d578f8f4226") == "01a20741418d578f8f4226"


PLACES = [
    ("file:///data/shop/a.csv", "file:///data/shop", True),
    ("file:///data/shop/../../etc/x.csv", "file:///data/shop/", False),
    ("file:///data/shop/%2e%2e/x.csv", "file:///data/shop/", False),
    ("file:///data/shopper/a.csv", "file:///data/shop", False),
    ("s3://bucket/shop/a.parquet", "s3://bucket/shop", True),
    ("s3://bucket/shop-secret/a.parquet", "s3://bucket/shop", False),
    ("s3://bucket.evil/shop/a.parquet", "s3://bucket", False),
    ("postgresql://db/shop/products", "postgresql://db/shop", True),
    ("postgresql://db.evil.example/a/t", "postgresql://db", False),
    ("postgresql://x@db/a/t", "postgresql://db", False),
    ("postgresql://db/shop/t?host=evil", "postgresql://db/shop", False),
]


@pytest.mark.parametrize(("place", "source", "fine"), PLACES)
def test_a_url_is_open_as_a_whole_step_of_its_path(place: str, source: str, fine: bool) -> None:
    if fine:
        assert allowed(place, (source,)) == place
    else:
        with pytest.raises(InputError, match="may not be read"):
            allowed(place, (source,))


def test_a_schedule_shows_no_password_and_may_have_a_long_name(
    client_of: Callable[..., FlaskClient], tmp_path: Path, database_url: str
) -> None:
    place = "postgresql://me:hush-hush@db/shop/products"
    door = ClientDoor(
        client_of(
            data_dir=tmp_path / "kept", database_url=database_url,
            sources=("postgresql://me:hush-hush@db/shop",),
        )
    )  # fmt: skip
    name = "n" * 64
    asked = {"name": name, "cron": "0 6 * * 1", "run": {"source": {"place": place}}}
    assert send(door, "POST", "/v1/schedules", asked).status == 201
    assert b"hush" not in get(door, "/v1/schedules").body
    triggered = send(door, "POST", f"/v1/schedules/{name}/trigger")
    assert triggered.status == 202
    assert get(door, triggered.headers["location"]).ok()["state"] == "queued"


def test_a_day_that_is_none_and_a_model_that_is_none_leave_nothing_behind(
    idle: Door, tmp_path: Path
) -> None:
    kept = upload(idle, BODY, CSV).json()["id"]
    asked = {"source": {"upload": kept}, "as_of": "2024-13-99"}
    assert "no such day" in send(idle, "POST", "/v1/runs", asked).problem(422)["detail"]
    refused = idle(BODY, path=f"{PATH}?model=nope",
                   headers={"Content-Type": CSV, "Prefer": "respond-async"})  # fmt: skip
    refused.problem(404)
    assert len(list((tmp_path / "kept" / "uploads").iterdir())) == 1


def test_a_workbook_that_lies_about_its_size_is_refused(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    honest = workbook(("xl/worksheets/sheet1.xml", b"0" * 3_000_000))
    size = (3_000_000).to_bytes(4, "little")
    lying = honest.replace(size, (1_000).to_bytes(4, "little"))
    assert lying != honest
    door = ClientDoor(client_of(data_dir=tmp_path, max_upload_bytes=1_000_000))
    assert upload(door, lying, XLSX).status in (413, 422)
    assert upload(door, honest, XLSX).status == 413
