"""The page of the inventory: what to reorder and to clear, answers, orders, stock."""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pages import HOSTILE, app_of, do, heading, page, send, stocked, with_lines, words

from kinds import shop
from shelfwise import analyze
from shelfwise.service import close, store
from shelfwise.service.kept import jobs
from shelfwise.store.database import now
from shelfwise.texts import text

KEY = "a-key-of-sixteen-letters"


def listed(shown: str) -> list[str]:
    """The ids of the products of a list, in its order."""
    return re.findall(r'<td class="what"><a class="name" href="/product\?id=([^"&]*)', shown)


def file(reader: FlaskClient, path: str) -> list[dict[str, str]]:
    with reader.get(path) as answer:
        assert answer.status_code == 200
        return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


def test_it_says_what_to_reorder_by_when_and_why(reader: FlaskClient) -> None:
    shown = page(reader, "/inventory")
    assert heading(shown).startswith("5 products to reorder now; ")
    assert "is stuck in 6 to clear out" in heading(shown)
    assert len(listed(shown)) == 5
    assert "Sold out; sells about" in words(shown)
    for told in ("Spring", "Profile standard", "to reorder", "Weeks of cover"):
        assert told.lower() in words(shown).lower()
    assert 'aria-current="page"' in shown


def test_lists_are_sorted_and_filtered(reader: FlaskClient) -> None:
    ids = listed(page(reader, "/inventory?sort=name"))
    assert ids == sorted(ids)
    assert listed(page(reader, "/inventory?sort=-name")) == ids[::-1]
    some = page(reader, "/inventory?supplier=S0&sort=name")
    assert listed(some) == ["100"]
    assert text("products.none") in page(reader, "/inventory?supplier=Nobody")
    assert listed(page(reader, "/inventory?view=clear&sort=name")) == [
        "102", "104", "105", "107", "108", "111"
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["view=all", "sort=nope", "answer=maybe", "after=x", "run=nope",
                                  "view=clear&sort=date"])  # fmt: skip
def test_what_does_not_fit_is_a_page_that_says_so(reader: FlaskClient, path: str) -> None:
    shown = page(reader, f"/inventory?{path}", 404 if path == "run=nope" else 422)
    assert text("error.home") in shown


def test_a_quantity_is_edited_and_accepted_and_the_file_has_it(reader: FlaskClient) -> None:
    first = listed(page(reader, "/inventory"))[0]
    proposed = float(file(reader, "/inventory.csv")[0]["quantity"])
    given = {"id": first, "action": "reorder", "proposed": str(proposed), "amount": "600"}
    answer = send(reader, "/answer", "/inventory", **given, verdict="accepted",
                  next="/inventory?sort=name#r1")  # fmt: skip
    assert answer.location == "/inventory?sort=name#r1"
    shown = page(reader, "/inventory")
    assert "Accepted. 600 instead of" in words(shown)
    assert re.search(r'value="600"', shown)
    row = next(row for row in file(reader, "/inventory.csv") if row["product_id"] == first)
    assert (float(row["quantity"]), row["verdict"]) == (600.0, "accepted")
    assert float(row["cost"]) == 600 * 4.0
    assert listed(page(reader, "/inventory?answer=accepted")) == [first]
    assert first not in listed(page(reader, "/inventory?answer=open"))


def test_what_is_dismissed_is_left_out_and_the_next_run_remembers_why(reader: FlaskClient) -> None:
    first = listed(page(reader, "/inventory"))[0]
    send(reader, "/answer", "/inventory", id=first, action="reorder", verdict="dismissed",
         reason="The supplier <b>stops</b> it")  # fmt: skip
    assert first not in listed(page(reader, "/inventory"))
    gone = page(reader, "/inventory?answer=dismissed")
    assert listed(gone) == [first]
    assert "The supplier &lt;b&gt;stops&lt;/b&gt; it" in gone
    assert heading(page(reader, "/inventory")).startswith("4 products to reorder")
    with_lines(reader.application, "inventory")
    assert listed(page(reader, "/inventory"))
    assert first not in listed(page(reader, "/inventory"))


@pytest.mark.parametrize(
    "given",
    [{"reason": ""}, {"id": "nobody"}, {"action": "buy"}, {"verdict": "maybe"},
     {"verdict": "accepted", "amount": "many"}, {"verdict": "accepted", "amount": "-3"},
     {"verdict": "accepted", "amount": "inf"}, {"verdict": "accepted", "amount": "1e999"},
     {"verdict": "accepted", "amount": "1e300"}, {"verdict": "accepted", "amount": "nan"},
     {"verdict": "accepted", "amount": "6", "proposed": "inf"}, {"reason": "x" * 501}],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused(reader: FlaskClient, given: dict[str, str]) -> None:
    whole = {"id": "100", "action": "reorder", "verdict": "dismissed", "reason": "Why"} | given
    assert send(reader, "/answer", "/inventory", **whole).status_code == 422
    assert store(reader.application).decisions.newest() == ([], None)


def test_an_answer_without_the_token_or_the_scope_is_refused(
    tmp_path: Path, decided: Callable[..., Path]
) -> None:
    app = app_of(decided(tmp_path), api_key=KEY)
    key, _ = store(app).keys.create("reader", ["read"])
    reader = app.test_client()
    given = {"id": "100", "action": "reorder", "verdict": "dismissed", "reason": "Why"}
    send(reader, "/sign-in", "/sign-in", key=key)
    assert reader.post("/answer", data=given).status_code == 403
    assert send(reader, "/answer", "/products", **given).status_code == 403
    shown = page(reader, "/inventory")
    assert 'name="verdict"' not in shown
    assert text("settings.title") not in shown
    assert send(reader, "/work", "/products", make="orders", place="inventory").status_code == 403
    close(app)


def test_orders_are_proposed_by_supplier_within_the_cash(reader: FlaskClient) -> None:
    app = reader.application
    before = page(reader, "/inventory?view=orders")
    assert text("orders.go") in before
    given = {
        "cash": "20000",
        "min_order_value": "",
        "suppliers": (io.BytesIO(b"supplier,min_order_value\nS0,100\nS1,9999999\n"), "s.csv"),
    }
    answer = send(reader, "/orders", "/inventory?view=orders", **given)  # fmt: skip
    assert answer.status_code == 302
    waiting = reader.get(answer.location)
    assert waiting.headers["Refresh"] == "2"
    assert text("working.queued") in waiting.get_data(as_text=True)
    job_id = re.findall(r"work=([^&]+)", answer.location)[0]
    do(app, job_id)
    shown = page(reader, "/inventory?view=orders")
    told = words(shown)
    assert "of 20,000" in told
    assert text("orders.met") in told
    assert "wait" in told  # S1 stays below its minimum.
    assert "S1" not in {row["supplier"] for row in file(reader, "/inventory.csv?view=orders")}
    whole = file(reader, "/inventory.csv?view=orders")
    assert 0 < sum(float(row["cost"]) for row in whole) <= 20_000
    one = whole[0]["supplier"]
    rows = file(reader, f"/inventory.csv?view=orders&supplier={one}")
    assert rows == [row for row in whole if row["supplier"] == one]
    # The minimums of the file are kept where another limit is asked for.
    assert text("orders.keep", n=2) in shown
    again = send(reader, "/orders", "/inventory?view=orders", cash="30000", keep="1").location
    do(app, re.findall(r"work=([^&]+)", again)[0])
    assert "S1" not in {row["supplier"] for row in file(reader, "/inventory.csv?view=orders")}
    assert "of 30,000" in words(page(reader, "/inventory?view=orders"))
    # What is dismissed is not ordered.
    send(reader, "/answer", "/inventory", id=rows[0]["product_id"], action="reorder",
         verdict="dismissed", reason="No")  # fmt: skip
    left = [row["product_id"] for row in file(reader, "/inventory.csv?view=orders")]
    assert rows[0]["product_id"] not in left


def test_stock_lies_by_category_and_tier_and_lasts_so_long(reader: FlaskClient) -> None:
    shown = page(reader, "/inventory?view=stock")
    for name in ("stock_by_category", "stock_by_tier", "cover"):
        assert f'data-chart="{name}"' in shown
    assert "of the money in stock" in words(shown)
    assert shown.count('role="img"') == 3


def test_what_is_withheld_says_what_it_needs(reader: FlaskClient) -> None:
    told = words(page(reader, "/inventory"))
    assert text("withheld.title") in told
    assert "days out of stock" in told
    assert text("assumptions.title") in told


def test_a_snapshot_alone_is_decided_with_what_it_withholds(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    rows = [row | {"stock": 2 * row["units_sold"]} for row in shop(20)]
    rows[0] |= {"stock": 1, "units_sold": 300}
    rows[1] |= {"stock": 90_000}
    run = store(app).runs.save(analyze(rows, period=28))
    reader = app.test_client()
    assert text("make.missing") in words(page(reader, "/inventory"))
    store(app).derived.make(run, "inventory")
    shown = words(page(reader, "/inventory"))
    assert "Rule for a snapshot" in shown
    assert "products are a snapshot without dates" in shown
    assert text("inventory.col.by") not in shown
    assert text("inventory.col.order") + " ↓" not in shown
    assert "None" not in shown
    for view in ("clear", "stock", "orders"):
        assert "None" not in words(page(reader, f"/inventory?view={view}"))
    close(app)


def test_without_stock_nothing_is_said_to_be_in_order(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    rows = [{n: v for n, v in row.items() if n != "stock"} for row in shop(20)]
    run = store(app).runs.save(analyze(rows, period=28))
    store(app).derived.make(run, "inventory")
    reader = app.test_client()
    shown = page(reader, "/inventory")
    assert heading(shown) == text("inventory.title.unknown")
    assert "It needs a column stock" in words(shown)
    for path in ("/inventory", "/"):
        shown = words(page(reader, path))
        assert text("inventory.title.unknown") in shown
        assert "needs a column stock" in shown
        for invented in ("kpi.reorder", "overview.nothing_to_reorder", "overview.nothing_to_clear"):
            assert text(invented) not in shown
    close(app)


def test_without_a_run_it_says_how_to_get_one(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    assert text("empty.title") in page(app.test_client(), "/inventory")
    close(app)


@pytest.mark.parametrize("view", ["reorder", "clear", "stock", "orders"])
def test_hostile_names_stay_text(tmp_path: Path, view: str, decided: Callable[..., Path]) -> None:
    app = app_of(decided(tmp_path, HOSTILE))
    if view == "orders":
        store(app).derived.make("latest", "orders")
    shown = page(app.test_client(), f"/inventory?view={view}")
    assert "<img src=x" not in shown
    assert "<script>alert" not in shown
    assert ">49<" not in shown
    close(app)


def test_work_is_started_once_shown_stopped_and_tried_again(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    with_lines(app)
    reader = app.test_client()
    assert heading(page(reader, "/inventory")) == "Find out what to reorder and what to clear"
    asked = {"make": "inventory", "place": "inventory", "policy.review_days": "14"}
    first = send(reader, "/work", "/inventory", **asked).location
    assert send(reader, "/work", "/products", **asked).location == first
    with reader.get("/inventory") as answer:  # Whoever asked for it, it is shown.
        assert answer.headers["Refresh"] == "2"
        shown = answer.get_data(as_text=True)
    assert heading(shown) == "Working out what to reorder and what to clear"
    assert text("working.queued") in shown
    assert text("working.no_worker") not in shown  # It is too early to say so.
    job_id = re.findall(r"work=([^&]+)", first)[0]
    stopped = send(reader, "/work", "/products", place="inventory", cancel=job_id).location
    shown = page(reader, stopped)
    assert text("working.stopped") in shown
    again = send(reader, "/work", "/products", place="inventory", again=job_id).location
    assert again != first
    do(app, re.findall(r"work=([^&]+)", again)[0])
    with app.app_context():
        kept = store().derived.get("latest", "inventory")
        jobs().cancel(re.findall(r"work=([^&]+)", again)[0])
    assert kept.about["policy"]["review_days"] == 14
    assert 'value="14"' in page(reader, "/inventory")
    close(app)


@pytest.mark.parametrize(
    "given",
    [{"make": "coffee"}, {"place": "//evil.example"}, {"policy.review_days": "many"},
     {"policy.review_days": "-1"}, {"policy.nope": "1"}],
)  # fmt: skip
def test_work_that_does_not_fit_is_refused(reader: FlaskClient, given: dict[str, object]) -> None:
    asked = {"make": "inventory", "place": "inventory"} | given
    assert send(reader, "/work", "/inventory", **asked).status_code == 422


def test_a_file_of_no_kind_that_is_read_is_refused(reader: FlaskClient) -> None:
    asked = {"make": "inventory", "place": "inventory",
             "receipts": (io.BytesIO(b"x"), "receipts.exe")}  # fmt: skip
    answer = send(reader, "/work", "/inventory", **asked)
    assert answer.status_code == 415
    assert "receipts.exe" in answer.get_data(as_text=True)


@pytest.mark.parametrize("name", ["cash", "min_order_value"])
def test_orders_within_no_finite_number_are_refused(reader: FlaskClient, name: str) -> None:
    answer = send(reader, "/orders", "/inventory?view=orders", **{name: "inf"})
    assert answer.status_code == 422
    assert f"{name} is no finite number" in words(answer.get_data(as_text=True))


def test_the_catalogue_of_the_tests_has_something_for_each_list() -> None:
    assert {row["stock"] for row in stocked()} == {0, 400, 90_000}


def tiles(shown: str) -> dict[str, tuple[str, str]]:
    """The figures on top of a page: label, value, and note."""
    found = re.findall(
        r'<li><span class="label">(.*?)</span><strong>(.*?)</strong>(.*?)</li>', shown
    )
    return {label: (value, words(note).strip()) for label, value, note in found}


def test_the_overview_says_what_the_inventory_says(reader: FlaskClient) -> None:
    dismissed, edited = listed(page(reader, "/inventory"))[:2]
    send(reader, "/answer", "/inventory", id=dismissed, action="reorder", verdict="dismissed",
         reason="No")  # fmt: skip
    send(reader, "/answer", "/inventory", id=edited, action="reorder", verdict="accepted",
         amount="4321")  # fmt: skip
    there, here = page(reader, "/inventory"), page(reader, "/")
    shared = tiles(there).keys() & tiles(here).keys()
    assert {text("kpi.reorder"), text("kpi.clear"), text("kpi.stock.cost")} <= shared
    for label in (text("kpi.reorder"), text("kpi.clear")):
        assert tiles(there)[label] == tiles(here)[label]
    assert tiles(there)[text("kpi.stock.cost")][0] == tiles(here)[text("kpi.stock.cost")][0]
    assert tiles(here)[text("kpi.reorder")][0] == "4"
    assert "4 products to reorder now" in words(here)
    first = re.findall(r'<h2>Reorder first</h2>.*?<table class="short">(.*?)</table>', here, re.S)[
        0
    ]
    ids = re.findall(r'href="/product\?id=([^"&]*)', first)
    assert dismissed not in ids
    assert edited in ids
    assert "4,321" in first
    assert text("inventory.col.by") in first


def test_stock_is_counted_in_one_way(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    rows = [row | {"unit_cost": 2.0, "stock": 100} for row in shop(20)]
    rows[3] |= {"unit_cost": None, "price": 70.0}
    rows[4] |= {"unit_cost": None, "stock": 0}
    run = store(app).runs.save(analyze(rows, period=28))
    reader = app.test_client()
    label = text("kpi.stock.mixed", count="1")
    before = tiles(page(reader, "/"))[label][0]
    assert before == "10.6K"  # 18 products at 2, one at 70, a hundred of each.
    store(app).derived.make(run, "inventory")
    assert tiles(page(reader, "/"))[label][0] == before
    assert tiles(page(reader, "/inventory"))[label][0] == before
    close(app)


@pytest.mark.parametrize("path", ["/inventory", "/inventory?view=clear", "/trends?view=confirmed",
                                  "/suppliers"])  # fmt: skip
def test_beyond_the_end_is_the_last_page(reader: FlaskClient, path: str) -> None:
    sep = "&" if "?" in path else "?"
    ids = r'<a class="name" href="([^"]*)'
    assert re.findall(ids, page(reader, f"{path}{sep}after=9999999999")) == re.findall(
        ids, page(reader, path)
    )


def test_it_says_how_old_its_dates_are(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    reader, today = app.test_client(), now().date()
    for days, told in ((0, None), (1, "1 day ago."), (40, "40 days ago.")):
        day = today - dt.timedelta(days=days)
        run = store(app).runs.save(analyze(shop(20), period=28), as_of=day)
        store(app).derived.make(run, "inventory")
        shown = words(page(reader, "/inventory"))
        assert ("These dates start from" in shown) == bool(told)
        assert (told or "") in shown
        assert "These dates" not in words(page(reader, "/inventory?view=clear"))
    close(app)
