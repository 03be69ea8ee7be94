"""The Data page: a file is uploaded, looked at, mapped, analyzed, and what went in is told."""

import gzip
import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import heading, page
from werkzeug.test import EnvironBuilder, TestResponse

from doors import LiveDoor, serving
from kinds import shop
from shelfwise import analyze, from_sales
from shelfwise.service import close, create_app, store
from shelfwise.settings import load_settings
from shelfwise.texts import text

KEY = "a-key-of-sixteen-letters"
App = Callable[..., Flask]


def csv(rows: list[dict[str, Any]], **options: Any) -> bytes:
    return pl.DataFrame(rows, strict=False).write_csv(**options).encode()


def token(shown: str) -> str:
    return re.findall(r'name="csrf" value="([^"]+)"', shown)[0]


def send(client: FlaskClient, body: bytes, name: str = "shop.csv", **more: Any) -> TestResponse:
    given = {"csrf": token(page(client, "/data")), "file": (io.BytesIO(body), name)} | more
    return client.post("/data", data=given, content_type="multipart/form-data")


def uploaded(client: FlaskClient, body: bytes, name: str = "shop.csv") -> str:
    with send(client, body, name) as answer:
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return str(answer.location)


def test_without_a_run_the_page_asks_for_a_file_and_the_overview_leads_there(
    app_with: App,
) -> None:
    client = app_with().test_client()
    shown = page(client, "/data")
    assert heading(shown) == text("data.title.none")
    assert 'type="file"' in shown
    assert 'href="/data"' in page(client, "/")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("shop.csv", csv(shop(30))),
        ("SHOP.CSV.GZ", gzip.compress(csv(shop(30)))),
        ("shop.tsv", csv(shop(30), separator="\t")),
        ("shop.txt", csv(shop(30), separator=";")),
        ("shop.json", pl.DataFrame(shop(30)).write_json().encode()),
        ("shop.ndjson", pl.DataFrame(shop(30)).write_ndjson().encode()),
    ],
)
def test_a_file_is_kept_and_shown_as_it_would_be_read(
    app_with: App, name: str, body: bytes
) -> None:
    client = app_with().test_client()
    shown = page(client, uploaded(client, body, name))
    assert heading(shown) == "All 30 rows can be scored"
    assert shop(1)[0]["name"] in shown
    assert name in shown
    assert text("upload.profile.lacks", column="unit_cost") in shown


def test_what_is_wrong_is_counted_and_repairs_are_proposed(app_with: App) -> None:
    rows = [{**row, "price": str(row["price"])} for row in shop(40)]
    rows[3]["price"], rows[5]["price"], rows[9]["units_sold"] = "12,50", "many", -4
    client = app_with().test_client()
    shown = page(client, uploaded(client, csv(rows)))
    assert heading(shown) == "3 of 40 rows break the rules"
    assert "<dt>A repair would mend</dt><dd>1</dd>" in shown
    assert "Row 4</strong> <bdi>price is the text" in shown
    assert re.search(r'name="on_error" value="repair" checked', shown)


def test_the_profile_that_the_products_favor_is_chosen_with_its_reason(app_with: App) -> None:
    rows = [row | {"units_sold": 10, "price": 5.0, "stock": 10} for row in shop(100)]
    rows[0] |= {"price": 90_000.0, "stock": 4}
    for row in rows[1:10]:
        row |= {"price": 900.0, "stock": 4_000}
    client = app_with().test_client()
    shown = page(client, uploaded(client, csv(rows)))
    reason = re.findall(r"(Robust is chosen: under standard (\d+) of your 10 best.*?)</p>", shown)
    assert reason
    assert re.search(r'name="profile" value="robust" checked', shown)


def test_columns_are_recognized_and_can_be_mapped_by_hand(app_with: App) -> None:
    rows = [{"ref": row["product_id"], "what": row["name"], "Price": row["price"],
             "sold": row["units_sold"], "stock": row["stock"]} for row in shop(30)]  # fmt: skip
    client = app_with().test_client()
    place = uploaded(client, csv(rows))
    shown = page(client, place)
    assert heading(shown) == text("upload.title.trouble")
    assert text("upload.missing", names="product_id, name") in shown
    given = {"csrf": token(shown), "do": "look", "as": "products", "c0": "product_id",
             "c1": "name", "c2": "price", "c3": "units_sold", "c4": "stock"}  # fmt: skip
    with client.post(place, data=given) as answer:
        assert answer.location == f"{place}?as=products&c0=product_id&c1=name"
        shown = page(client, answer.location)
    assert heading(shown) == "All 30 rows can be scored"
    with client.post(place, data=given | {"c1": "price", "do": "start"}) as answer:
        assert answer.status_code == 422
        assert text("upload.missing", names="name") in answer.get_data(as_text=True)
    twice = page(client, f"{place}?as=products&c0=name&c1=name")
    assert "gives two columns the same name" in twice


def test_a_recognized_column_can_be_left_out(app_with: App) -> None:
    rows = [{"product_id": row["product_id"], "name": row["name"], "price": row["price"],
             "units_sold": row["units_sold"], "stock": 7, "on_hand": row["stock"]}
            for row in shop(30)]  # fmt: skip
    client = app_with().test_client()
    place = uploaded(client, csv(rows))
    shown = page(client, place)
    given = {"csrf": token(shown), "do": "look", "as": "products", "c4": "-", "c5": "stock"}
    with client.post(place, data=given) as answer:
        assert answer.location == f"{place}?as=products&c4=-&c5=stock"
        shown = page(client, answer.location)
    assert heading(shown) == "All 30 rows can be scored"
    chosen = re.findall(r'<select id="c4".*?</select>', shown, re.DOTALL)[0]
    assert "selected" not in chosen
    assert '<option value="-">' in chosen
    assert re.findall(r'<select id="c5".*?value="(\w+)" selected', shown, re.DOTALL) == ["stock"]


def stopped(client: FlaskClient, place: str, given: dict[str, str]) -> str:
    """Start an analysis, stop it, and go back to the form; where that is."""
    with client.post(place, data=given | {"do": "start"}) as answer:
        assert answer.status_code == 303, answer.get_data(as_text=True)
        job = answer.location
    client.post(f"{job}/stop", data={"csrf": given["csrf"]})
    back = re.findall(r'class="button primary" href="([^"]+)"', page(client, job))[0]
    return str(back.replace("&amp;", "&"))


def test_what_was_mapped_and_allowed_is_kept_when_one_tries_again(app_with: App) -> None:
    client = app_with().test_client()
    rows = [{"ref": row["product_id"], "what": row["name"], "Price": row["price"],
             "sold": row["units_sold"], "stock": row["stock"]} for row in shop(30)]  # fmt: skip
    place = uploaded(client, csv(rows))
    given = {"csrf": token(page(client, place)), "as": "products", "c0": "product_id",
             "c1": "name", "label": "Again"}  # fmt: skip
    back = stopped(client, place, given)
    assert "c0=product_id" in back
    shown = page(client, back)
    assert heading(shown) == "All 30 rows can be scored"
    assert 'value="Again"' in shown
    changed = [{"was": row.pop("sku"), **row} for row in lines()]
    place = uploaded(client, csv(changed))
    given = {"csrf": given["csrf"], "as": "lines", "c0": "product_id", "max_rejected": "7.5"}
    shown = page(client, stopped(client, place, given))
    assert heading(shown) == "All 90 order lines can be read"
    assert re.search(r'name="max_rejected"[^>]* value="7.5"', shown)


def lines() -> list[dict[str, Any]]:
    return [
        {"sku": n % 12, "order_date": f"2026-0{1 + n % 3}-1{n % 9}", "qty": 1 + n % 4,
         "price": 3.0 + n % 12, "order_no": f"O{n}" if n != 7 else "C7"}
        for n in range(90)
    ]  # fmt: skip


def test_order_lines_are_told_from_products(app_with: App) -> None:
    client = app_with().test_client()
    place = uploaded(client, csv(lines()))
    shown = page(client, place)
    assert heading(shown) == "All 90 order lines can be read"
    assert "2026-01-10 – 2026-03-18" in shown
    assert 'name="catalog" type="file"' in shown
    other = page(client, f"{place}?as=products")
    assert heading(other) == text("upload.title.trouble")


@pytest.mark.parametrize(
    ("name", "body", "status", "told"),
    [
        ("shop.pdf", b"%PDF", 415, "shop.pdf"),
        ("noending", b"a,b\n1,2", 415, "noending"),
        ("shop.csv", b"", 422, "is empty"),
        ("shop.csv", b"a,b\n", 422, "no rows"),
        ("shop.csv", "name,price\nü,1".encode("utf-16"), 400, "UTF-16"),
        ("shop.csv.gz", b"no gzip", 400, "not valid gzip"),
        ("shop.json", b"{", 400, ""),
        ("shop.xlsx", b"no zip", 422, "The Excel file is damaged."),
        ("shop.parquet", b"no parquet", 422, ""),
        ("shop.csv", csv(shop(900)), 413, "10,000"),
        ("shop.csv.gz", gzip.compress(csv(shop(900))), 413, "10,000"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_words_and_not_kept(
    app_with: App, tmp_path: Path, name: str, body: bytes, status: int, told: str
) -> None:
    client = app_with(max_upload_bytes=10_000).test_client()
    with send(client, body, name) as answer:
        assert answer.status_code == status
        shown = answer.get_data(as_text=True)
    assert 'role="alert"' in shown
    assert told in shown
    assert 'type="file"' in shown
    assert not list((tmp_path / "data" / "uploads").glob("*"))


def test_a_form_larger_than_any_file_may_be_is_not_read(app_with: App) -> None:
    client = app_with(max_upload_bytes=10_000).test_client()
    announced = {"CONTENT_LENGTH": "2000000", "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    with client.post("/data", environ_overrides=announced) as answer:
        assert answer.status_code == 413
        assert text("error.title.413") in answer.get_data(as_text=True)


def test_no_file_at_all_is_said(app_with: App) -> None:
    client = app_with().test_client()
    given = {"csrf": token(page(client, "/data"))}
    with client.post("/data", data=given, content_type="multipart/form-data") as answer:
        assert answer.status_code == 422
        assert text("upload.wrong.none") in answer.get_data(as_text=True)


def test_the_form_needs_its_token_and_the_scope_to_analyze(app_with: App) -> None:
    app = app_with(api_key=KEY)
    key, _ = store(app).keys.create("reader", ["read"])
    client = app.test_client()
    given = {"csrf": token(page(client, "/sign-in")), "key": key}
    client.post("/sign-in", data=given)
    shown = page(client, "/data")
    assert 'type="file"' not in shown
    with send(client, csv(shop(20))) as answer:
        assert answer.status_code == 403
    open_to_all = create_app(load_settings({}, data_dir=app.config["SHELFWISE"].data_dir))
    other = open_to_all.test_client()
    with send(other, csv(shop(20)), csrf="wrong") as answer:
        assert answer.status_code == 403
    close(open_to_all)


@pytest.mark.parametrize("path", ["/data/nothing", "/data/job/nothing"])
def test_what_is_not_there_is_said(app_with: App, path: str) -> None:
    page(app_with().test_client(), path, 404)


def test_hostile_names_stay_text(app_with: App) -> None:
    bad = "<img src=x onerror=alert(1)>"
    rows = [row | {bad: "{{7*7}}", "name": bad} for row in shop(20)]
    rows[2]["price"] = "<b>"  # type: ignore[call-overload]
    client = app_with().test_client()
    place = uploaded(client, csv([{**r, "price": str(r["price"])} for r in rows]), f"{bad}.csv")
    shown = page(client, place)
    assert "<img src=x" not in shown
    assert "<b>" not in shown
    assert "{{7*7}}" in shown


def test_what_went_in_and_what_was_refused_is_told_of_a_run(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    rows = shop(40)
    rows[4]["units_sold"] = -1
    store(app).runs.save(analyze(rows, on_error="skip", period=28), source="shop.csv")
    shown = page(client, "/data")
    assert heading(shown) == "1 of 40 rows was refused"
    assert "Row 5" in shown
    assert "units_sold is -1" in shown
    assert "<code>launch_date</code>" in shown
    assert "<code>price</code>" not in shown
    told = page(client, "/data/rejected.csv", kind="text/csv")
    assert told.splitlines()[0] == "row,column,value,reason"
    sold = from_sales(pl.DataFrame(lines()))
    store(app).runs.save(analyze(sold), source="lines.csv")
    shown = page(client, "/data")
    assert heading(shown) == "All 90 order lines count"
    assert text("data.findings") in shown
    assert "1 line" in shown


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    """A real server with a worker."""
    with serving(tmp_path_factory.mktemp("data"), "--worker") as door:
        yield door


def ask(door: LiveDoor, path: str, cookie: str = "", **sent: Any) -> Any:
    """Ask the server as a browser does: a form where something is sent."""
    if not sent:
        return door(path=path, method="GET", headers={"Content-Type": None, "Cookie": cookie})
    environ = EnvironBuilder(method="POST", data=sent).get_environ()
    headers = {"Content-Type": environ["CONTENT_TYPE"], "Cookie": cookie, "Origin": door.url}
    return door(environ["wsgi.input"].read(), path=path, headers=headers)


def followed(door: LiveDoor, path: str, cookie: str) -> str:
    """Where the page of an analysis leads to when it is over."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        answer = ask(door, path, cookie)
        if answer.status == 303:
            return str(answer.headers["location"])
        assert answer.status == 200
        if "refresh" not in answer.headers:
            return str(answer.body.decode())
        time.sleep(0.3)
    raise AssertionError("The analysis did not end.")


def test_a_person_uploads_looks_analyzes_and_comes_to_the_overview(working: LiveDoor) -> None:
    first = ask(working, "/data")
    cookie = first.headers["set-cookie"].partition(";")[0]
    csrf = token(first.body.decode())
    rows = [{**row, "units_sold": str(row["units_sold"])} for row in shop(60)]
    rows[2]["units_sold"] = "none"
    kept = ask(working, "/data", cookie, csrf=csrf, file=(io.BytesIO(csv(rows)), "week 9.csv"))
    assert kept.status == 303
    asked = {"csrf": csrf, "do": "start", "as": "products", "on_error": "skip", "profile": "robust",
             "period_days": "28", "label": "Week 9"}  # fmt: skip
    started = ask(working, kept.headers["location"], cookie, **asked)
    assert started.status == 303
    result = followed(working, started.headers["location"], cookie)
    assert result.startswith("/data?run=")
    shown = ask(working, result, cookie).body.decode()
    assert heading(shown) == "1 of 60 rows was refused"
    assert "Profile robust" in shown
    overview = re.findall(r'class="button primary" href="(/\?run=[^"]+)"', shown)[0]
    shown = ask(working, overview, cookie).body.decode()
    for told in ("Week 9", "Profile robust", "4 weeks to", "59 products"):
        assert told in shown


def test_an_analysis_that_fails_says_why_and_leads_back(working: LiveDoor) -> None:
    first = ask(working, "/data")
    cookie, csrf = first.headers["set-cookie"].partition(";")[0], token(first.body.decode())
    rows = shop(30)
    rows[7]["stock"] = -2
    kept = ask(working, "/data", cookie, csrf=csrf, file=(io.BytesIO(csv(rows)), "shop.csv"))
    place = kept.headers["location"]
    asked = {"csrf": csrf, "do": "start", "as": "products", "on_error": "reject"}
    started = ask(working, place, cookie, **asked)
    shown = followed(working, started.headers["location"], cookie)
    assert heading(shown) == text("analysis.title.failed")
    assert "Row 8" in shown
    back = re.findall(r'class="button primary" href="([^"]+)"', shown)[0].replace("&amp;", "&")
    assert back.startswith(f"{place}?as=products&")
    assert ask(working, back, cookie).status == 200


def test_order_lines_with_stock_and_catalogue_are_analyzed(working: LiveDoor) -> None:
    first = ask(working, "/data")
    cookie, csrf = first.headers["set-cookie"].partition(";")[0], token(first.body.decode())
    kept = ask(working, "/data", cookie, csrf=csrf, file=(io.BytesIO(csv(lines())), "lines.csv"))
    stock = csv([{"product_id": n, "stock": 10 * n} for n in range(12)])
    names = csv([{"product_id": n, "name": f"Tea {n}", "unit_cost": 1.0} for n in range(12)])
    started = ask(working, kept.headers["location"], cookie, csrf=csrf, do="start", **{
        "as": "lines", "profile": "margin", "from": "2026-01-01", "to": "2026-03-31",
        "stock": (io.BytesIO(stock), "stock.csv"), "catalog": (io.BytesIO(names), "names.csv"),
    })  # fmt: skip
    assert started.status == 303, started.body
    result = followed(working, started.headers["location"], cookie)
    shown = ask(working, result, cookie).body.decode()
    assert heading(shown) == "All 90 order lines count"
    assert "Profile margin" in shown
    assert "12 products" in shown


def test_the_day_of_order_lines_is_asked_for_in_other_words(app_with: App) -> None:
    client = app_with().test_client()
    shown = page(client, uploaded(client, csv(lines())))
    labels = re.findall(r"<label[^>]*>(.*?)</label>", shown)
    assert labels.count(text("upload.to")) == 1
    assert labels.count(text("upload.as_of.lines")) == 1
    assert text("upload.as_of") not in labels
    products = page(client, uploaded(client, csv(shop(20))))
    assert text("upload.as_of") in products


@pytest.mark.parametrize("source", ["/srv/secret/shop.csv", "C:\\secret\\shop.csv", "shop.csv"])
def test_where_a_file_lies_on_the_server_is_not_told(app_with: App, source: str) -> None:
    app = app_with()
    store(app).runs.save(analyze(shop(20), period=28), source=source)
    for path in ("/data", "/method"):
        shown = page(app.test_client(), path)
        assert "<bdi>shop.csv</bdi>" in shown
        assert "secret" not in shown


def test_lines_that_were_left_out_are_not_said_to_be_taken(app_with: App) -> None:
    app = app_with()
    some = [line | {"status": "cancelled" if n % 9 == 0 else "sent"}
            for n, line in enumerate(lines())]  # fmt: skip
    run = store(app).runs.save(analyze(from_sales(pl.DataFrame(some))), source="lines.csv")
    assert run.quality
    assert run.quality["left_out"]
    shown = page(app.test_client(), "/data")
    assert text("data.rejected.lines") in shown
    assert text("data.rejected.none") not in shown
    store(app).runs.save(analyze(shop(20), period=28))
    assert text("data.rejected.none") in page(app.test_client(), "/data")
