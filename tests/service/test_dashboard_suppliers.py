"""The page of suppliers: what our range of theirs earns, how they deliver, dependency."""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from flask.testing import FlaskClient
from pages import HOSTILE, app_of, do, heading, page, send, words

from kinds import shop
from shelfwise import analyze
from shelfwise.service import close, store
from shelfwise.texts import text

VIEWS = ("range", "delivery", "dependency")
ORDERED = dt.date(2024, 6, 3)
DAY = dt.timedelta(days=1)


def receipts() -> pl.DataFrame:
    """Deliveries of which those of S0 come late and the others on time."""
    return pl.DataFrame([
        {"supplier": f"S{n % 4}", "product_id": str(100 + n % 12), "ordered": ORDERED + n * DAY,
         "promised": ORDERED + (n + 10) * DAY,
         "received": ORDERED + (n + (19 if n % 4 == 0 else 9)) * DAY,
         "ordered_quantity": 10, "received_quantity": 10}
        for n in range(120)
    ])  # fmt: skip


def listed(shown: str) -> list[str]:
    return re.findall(r'<th scope="row"><a class="name"[^>]*><bdi>(.*?)</bdi>', shown)


def test_what_their_range_earns_and_ties_up(reader: FlaskClient) -> None:
    made = store(reader.application).derived.get("latest", "suppliers").scan().collect()
    best = made.row(0, named=True)
    shown = page(reader, "/suppliers")
    assert heading(shown).startswith(f"{best['supplier']} earns {best['revenue_share']:.0%} of")
    assert listed(shown) == made["supplier"].to_list()
    assert f"{best['score_place_low']} to {best['score_place_high']}" in words(shown)
    for name in ("earns_and_ties_up", "score_by_supplier"):
        assert f'data-chart="{name}"' in shown
    assert listed(page(reader, "/suppliers?sort=supplier")) == ["S0", "S1", "S2", "S3"]


def test_low_products_are_counted_not_estimated(reader: FlaskClient) -> None:
    products = store(reader.application).runs.products().collect()
    by = products.group_by("supplier").agg(
        n=pl.len(), low=(pl.col("performance_tier").cast(pl.String) == "Low").sum()
    )  # fmt: skip
    shown = words(page(reader, "/suppliers"))
    assert by["low"].sum() > 0
    for name, n, low in by.iter_rows():
        assert re.search(rf" {name} {n} .*? {low} of {n} ", shown)
    shares = dict(by.select("supplier", pl.col("low") / pl.col("n")).iter_rows())
    ordered = listed(page(reader, "/suppliers?sort=-low_part"))
    assert [shares[name] for name in ordered] == sorted(shares.values(), reverse=True)


def test_without_receipts_it_says_what_would_tell_how_they_deliver(reader: FlaskClient) -> None:
    shown = words(page(reader, "/suppliers?view=delivery"))
    assert text("suppliers.no_receipts") in shown
    assert text("withheld.title") in shown
    assert "receipts: supplier, product_id" in shown


def test_receipts_are_given_in_a_form_and_tell_who_is_late(reader: FlaskClient) -> None:
    file = io.BytesIO(receipts().write_csv().encode())
    answer = send(reader, "/work", "/suppliers?view=delivery", make="suppliers", place="suppliers",
                  view="delivery", receipts=(file, "receipts.csv"),
                  **{"policy.otif_target": "0.7"})  # fmt: skip
    assert answer.location.startswith("/suppliers?view=delivery&work=")
    do(reader.application, re.findall(r"work=([^&]+)", answer.location)[0])
    shown = page(reader, "/suppliers?view=delivery")
    assert "; S0 delivers " in heading(shown)
    assert text("suppliers.renegotiate") in shown
    assert "the target is 70%" in words(shown)
    assert listed(shown)[0] == "S0"
    assert 'data-chart="otif_by_supplier"' in shown
    assert "19 days" in words(shown)
    assert "120 lines of receipts" in words(shown)
    job = {"make": "suppliers", "place": "suppliers", "view": "delivery", "keep.receipts": "1"}
    assert send(reader, "/work", "/suppliers", **job).status_code == 422  # Nobody has ended it.
    assert text("file.keep") in shown


def test_dependency_has_the_categories(reader: FlaskClient) -> None:
    shown = words(page(reader, "/suppliers?view=dependency"))
    assert "suppliers of equal size" in shown
    for name in ("Up", "Down", "Level"):
        assert name in shown


def test_all_of_them_are_a_file(reader: FlaskClient) -> None:
    with reader.get("/suppliers.csv") as answer:
        rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert {row["supplier"] for row in rows} == {"S0", "S1", "S2", "S3"}


@pytest.mark.parametrize("path", ["view=all", "sort=nope", "view=delivery&sort=revenue", "after=x"])
def test_what_does_not_fit_is_a_page_that_says_so(reader: FlaskClient, path: str) -> None:
    assert text("error.home") in page(reader, f"/suppliers?{path}", 422)


def test_many_suppliers_are_pages(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    rows = [row | {"supplier": f"S{n:03}"} for n, row in enumerate(shop(120))]
    run = store(app).runs.save(analyze(rows, period=28))
    store(app).derived.make(run, "suppliers")
    reader, path, seen = app.test_client(), "/suppliers?sort=supplier", []
    while path:
        shown = page(reader, path)
        seen += listed(shown)
        following = re.findall(r'rel="next" href="([^"]*)"', shown)
        path = following[0].replace("&amp;", "&") if following else ""
    assert seen == [f"S{n:03}" for n in range(120)]
    close(app)


def test_too_few_suppliers_are_not_compared(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    run = store(app).runs.save(analyze(shop(20), period=28))
    store(app).derived.make(run, "suppliers")
    for view in VIEWS:
        shown = page(app.test_client(), f"/suppliers?view={view}")
        assert heading(shown) == text("suppliers.title.none")
        assert "None" not in words(shown)
    close(app)


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_names_stay_text(tmp_path: Path, view: str, decided: Callable[..., Path]) -> None:
    app = app_of(decided(tmp_path, HOSTILE))
    shown = page(app.test_client(), f"/suppliers?view={view}")
    assert "<img src=x" not in shown
    assert "<script>alert" not in shown
    assert ">49<" not in heading(shown)
    close(app)


@pytest.mark.parametrize(("nameless", "told"), [(1, "1 product, which"), (2, "2 products, which")])
def test_products_without_a_supplier_are_counted(tmp_path: Path, nameless: int, told: str) -> None:
    app = app_of(tmp_path)
    rows = [row | {"supplier": None if n < nameless else f"S{n % 4}"}
            for n, row in enumerate(shop(40))]  # fmt: skip
    run = store(app).runs.save(analyze(rows, period=28))
    store(app).derived.make(run, "suppliers")
    assert told in words(page(app.test_client(), "/suppliers"))
    close(app)
