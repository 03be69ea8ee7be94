"""The Reports page: documents, where they went, schedules, addresses for other tools."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import HOSTILE, app_of, heading, page, send, words

from shelfwise.jobs.work import done
from shelfwise.reports.web import policy
from shelfwise.service import close, store
from shelfwise.service.kept import jobs
from shelfwise.texts import text


@pytest.fixture
def app(tmp_path: Path, decided: Callable[..., Path]) -> Iterator[Flask]:
    (tmp_path / "out").mkdir()
    made = app_of(decided(tmp_path), delivery_folders=(str(tmp_path / "out"),))
    yield made
    close(made)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_the_documents_of_a_run_can_be_had(client: FlaskClient) -> None:
    shown = page(client, "/reports")
    run = store(client.application).runs.get()
    assert heading(shown) == text("reports.title.now", day="26 Oct 2025") or "ready" in shown
    for kind in ("pdf", "html", "xlsx"):
        assert f"/report.{kind}?run={run.id}" in shown
    with client.get(f"/report.pdf?run={run.id}") as answer:
        assert answer.mimetype == "application/pdf"
        document = pdfium.PdfDocument(answer.data)
        assert "Spring" in document[0].get_textpage().get_text_range()
        etag = answer.headers["ETag"]
    with client.get(f"/report.pdf?run={run.id}", headers={"If-None-Match": etag}) as answer:
        assert answer.status_code == 304


def test_a_kept_document_is_not_taken_for_one_in_another_currency(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.get("/report.html") as answer:
        etag = answer.headers["ETag"]
        assert "\N{EURO SIGN}" not in answer.text
    euros = dataclasses.replace(client.application.config["SHELFWISE"], currency="EUR")
    monkeypatch.setitem(client.application.config, "SHELFWISE", euros)
    with client.get("/report.html", headers={"If-None-Match": etag}) as answer:
        assert answer.status_code == 200
        assert "\N{EURO SIGN}" in answer.text


def test_the_web_page_keeps_its_own_policy(client: FlaskClient) -> None:
    with client.get("/report.html") as answer:
        assert answer.headers["Content-Security-Policy"].startswith(policy())
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert b"<script" not in answer.data


@pytest.mark.filterwarnings("ignore:.*extension is not supported")
def test_a_workbook_is_made_in_a_process_of_its_own(client: FlaskClient) -> None:
    from io import BytesIO

    from openpyxl import load_workbook

    with client.get("/report.xlsx") as answer:
        assert answer.status_code == 200
        book = load_workbook(BytesIO(answer.data))
    assert "Products" in book.sheetnames


def test_a_page_about_a_supplier(client: FlaskClient) -> None:
    assert "<option>S1</option>" in page(client, "/reports")
    with client.get("/report.pdf?supplier=S1") as answer:
        assert "S1" in answer.headers["Content-Disposition"]
        assert len(pdfium.PdfDocument(answer.data)) == 1
    shown = page(client, "/report.pdf?supplier=Nobody", 404)
    assert "There is no supplier" in words(shown)
    assert "no workbook" in words(page(client, "/report.xlsx?supplier=S1", 422))


def test_a_report_is_sent_now_and_the_page_tells_where_it_went(
    client: FlaskClient, tmp_path: Path
) -> None:
    assert text("reports.sent.none") in page(client, "/reports")
    answer = send(client, "/reports/send", "/reports", kind="folder", to=str(tmp_path / "out"),
                  formats=["html"])  # fmt: skip
    assert answer.status_code == 302
    kept = store(client.application)
    (waiting,) = kept.deliveries.of_run(kept.runs.get().id)
    assert (waiting.state, waiting.target["formats"]) == ("waiting", ["html"])
    shown = words(page(client, "/reports"))
    assert "waiting" in shown
    assert str(tmp_path / "out") in shown


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": "folder", "to": "/etc"}, "SHELFWISE_DELIVERY_FOLDERS"),
        ({"kind": "folder", "to": ""}, text("reports.wrong.to.folder")),
        ({"kind": "mail", "to": "ann@shop.example"}, "SHELFWISE_SMTP"),
        ({"kind": "webhook", "to": "http://127.0.0.1/x"}, "webhook"),
        ({"kind": "webhook", "to": "file:///etc/passwd"}, "webhook"),
        ({"kind": "pigeon", "to": "roof"}, text("reports.wrong.kind")),
        ({"kind": "folder", "to": "out", "formats": "docx"}, text("reports.wrong.target")),
    ],
)
def test_where_a_report_may_not_go_is_said_beside_the_form(
    client: FlaskClient, given: dict[str, str], told: str
) -> None:
    answer = send(client, "/reports/send", "/reports", **given)
    assert answer.status_code == 422
    shown = answer.get_data(as_text=True)
    (wrong,) = re.findall(r'<p class="wrong" role="alert">(.*?)</p>', shown)
    assert told in words(wrong)
    kept = store(client.application)
    assert not kept.deliveries.of_run(kept.runs.get().id)


def test_a_schedule_is_made_paused_sent_and_ended(client: FlaskClient, tmp_path: Path) -> None:
    form = {"name": "weekly", "day": "monday", "time": "06:00", "zone": "Europe/Berlin",
            "kind": "folder", "to": str(tmp_path / "out"), "formats": ["pdf", "csv"]}  # fmt: skip
    assert send(client, "/reports/schedules", "/reports", **form).status_code == 302
    shown = page(client, "/reports")
    assert heading(shown).startswith("The next report goes out on Mon")
    assert "06:00" in heading(shown)
    assert "PDF, CSV" in words(shown)
    assert "Mondays 06:00 Europe/Berlin" in words(shown)
    assert send(client, "/reports/schedules", "/reports", **form).status_code == 422
    for what, active in (("pause", False), ("resume", True)):
        send(client, "/reports/schedule", "/reports", name="weekly", do=what)
        with client.application.app_context():
            assert jobs().schedule("weekly").active is active
    send(client, "/reports/schedule", "/reports", name="weekly", do="run")
    with client.application.app_context():
        (job,) = jobs().newest()[0]
    run = done(store(client.application),
               {"run_id": "unused", "job_id": job.id, "request": dict(job.request)})  # fmt: skip
    assert store(client.application).deliveries.of_run(run.id)
    send(client, "/reports/schedule", "/reports", name="weekly", do="delete")
    assert text("reports.schedules.none") in page(client, "/reports")


def test_a_schedule_shows_no_password_of_its_source(client: FlaskClient) -> None:
    with client.application.app_context():
        asked = {"source": {"place": "postgresql://me:hush-hush@db/shop/products"},
                 "deliver": {"targets": [{"folder": "/reports"}], "make": None}}  # fmt: skip
        jobs().add_schedule("odd", "*/5 * * * *", asked)
    shown = page(client, "/reports")
    assert "*/5 * * * * UTC, analyzes postgresql://" in words(shown)
    assert "hush" not in shown


@pytest.mark.parametrize(
    "change",
    [
        {"day": "someday"},
        {"time": "25:00"},
        {"zone": "Mars/Base"},
        {"name": ""},
        {"name": "a/../b"},
    ],
    ids=["day", "time", "zone", "name", "letters"],
)
def test_a_schedule_that_does_not_fit_keeps_what_was_written(
    client: FlaskClient, tmp_path: Path, change: dict[str, str]
) -> None:
    form = {"name": "weekly", "day": "monday", "time": "06:00", "zone": "UTC", "kind": "folder",
            "to": str(tmp_path / "out")} | change  # fmt: skip
    answer = send(client, "/reports/schedules", "/reports", **form)
    assert answer.status_code == 422
    shown = answer.get_data(as_text=True)
    assert 'role="alert"' in shown
    assert f'value="{tmp_path / "out"}"' in shown


def test_an_address_for_other_tools_works_without_a_key(client: FlaskClient) -> None:
    answer = send(client, "/reports/link", "/reports", table="inventory", kind="csv", days="30",
                  latest="1")  # fmt: skip
    shown = answer.get_data(as_text=True)
    (address,) = re.findall(r'class="address"[^>]*value="([^"]+)"', shown)
    assert "/v1/runs/latest/inventory.csv?token=" in address
    path = address.partition("//")[2].partition("/")[2].replace("&amp;", "&")
    with client.get(f"/{path}") as found:
        assert found.status_code == 200
        assert found.mimetype == "text/csv"
    wrong = send(client, "/reports/link", "/reports", table="keys", kind="csv", days="30")
    assert wrong.status_code == 422


def test_a_dashboard_for_grafana_can_be_had(client: FlaskClient) -> None:
    with client.get("/grafana.zip") as answer:
        assert answer.mimetype == "application/zip"


def test_without_a_run_it_says_how_to_get_one(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    shown = page(app.test_client(), "/reports")
    close(app)
    assert heading(shown) == text("empty.title")


def test_who_may_not_send_sees_no_form(tmp_path: Path, decided: Callable[..., Path]) -> None:
    app = app_of(decided(tmp_path), api_key="k" * 20)
    key = store(app).keys.create("reader", ["read"])[0]
    client = app.test_client()
    send(client, "/sign-in", "/sign-in", key=key)
    shown = page(client, "/reports")
    assert text("reports.not_allowed") in words(shown)
    assert "reports/send" not in shown
    answer = send(client, "/reports/send", "/reports", kind="folder", to="x")
    close(app)
    assert answer.status_code == 403


def test_hostile_names_stay_text(tmp_path: Path, decided: Callable[..., Path]) -> None:
    app = app_of(decided(tmp_path, HOSTILE))
    shown = page(app.test_client(), "/reports")
    close(app)
    assert "<img src=x" not in shown
    assert "{{7*7}}" in words(shown)
