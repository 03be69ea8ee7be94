"""The page of trends: what rises and falls, how sure that is, shifts, categories."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pages import HOSTILE, app_of, do, heading, page, send, with_lines, words

from kinds import shop
from shelfwise import analyze
from shelfwise.sales.labels import TRENDS
from shelfwise.service import close, store
from shelfwise.service.dashboard.page import seen
from shelfwise.service.dashboard.trends import _tiles
from shelfwise.texts import TEXTS, text

VIEWS = ("confirmed", "indicative", "shifts", "categories")


def listed(shown: str) -> list[str]:
    return re.findall(r'class="what"><a class="name" href="/product\?id=([^"&]*)', shown)


def test_confirmed_trends_have_their_growth_and_interval(reader: FlaskClient) -> None:
    shown = page(reader, "/trends")
    made = store(reader.application).derived.get("latest", "trends").scan().collect()
    rising, falling = (made.filter(trend=name) for name in ("rising", "falling"))
    assert rising.height
    assert falling.height
    assert heading(shown) == f"{rising.height} products rise and {falling.height} fall, confirmed"
    assert listed(shown) == made.filter(made["trend"].is_in(["rising", "falling"])).sort(
        "growth", descending=True)["product_id"].to_list()  # fmt: skip
    best = rising.sort("growth").row(-1, named=True)
    assert f"+{best['growth_low']:.0%} to +{best['growth_high']:.0%}" in words(shown)
    assert 'data-chart="growth_by_product"' in shown
    assert f"{best['name']} grows most, +{best['growth']:.0%} a year" in words(shown)


def test_trends_are_filtered_and_sorted(reader: FlaskClient) -> None:
    falling = page(reader, "/trends?trend=falling&sort=name")
    assert listed(falling) == sorted(listed(falling))
    assert text("trend.rising") not in re.findall(r"<tbody>.*?</tbody>", falling, re.S)[-1]
    assert listed(page(reader, "/trends?category=Down")) == listed(
        page(reader, "/trends?trend=falling")
    )
    assert text("products.none") in page(reader, "/trends?category=Nothing")


@pytest.mark.parametrize("view", VIEWS)
def test_every_label_is_a_word(reader: FlaskClient, view: str) -> None:
    shown = words(page(reader, f"/trends?view={view}"))
    assert "None" not in shown
    assert "_" not in shown.replace("product_id", "")
    for name in TRENDS:
        assert TEXTS[f"trend.{name}"] in shown


def test_categories_have_trends_of_their_own(reader: FlaskClient) -> None:
    shown = page(reader, "/trends?view=categories")
    assert re.findall(r'category=(\w+)"><bdi>', shown)[0] == "Up"
    assert 'data-chart="growth_by_category"' in shown


def test_a_list_with_nothing_says_so(reader: FlaskClient) -> None:
    made = store(reader.application).derived.get("latest", "trends").scan().collect()
    assert made["shift"].null_count() == made.height
    assert text("trends.nothing.shifts") in page(reader, "/trends?view=shifts")


@pytest.mark.parametrize("path", ["view=all", "trend=up", "sort=nope", "after=-1"])
def test_what_does_not_fit_is_a_page_that_says_so(reader: FlaskClient, path: str) -> None:
    assert text("error.home") in page(reader, f"/trends?{path}", 422)


def test_the_products_are_filtered_by_words_too(reader: FlaskClient) -> None:
    assert f">{text('trend.rising')}</option>" in page(reader, "/products")


def test_a_run_without_order_lines_says_what_it_needs(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    store(app).runs.save(analyze(shop(20), period=28))
    reader = app.test_client()
    shown = page(reader, "/trends")
    assert text("make.lines") in words(shown)
    assert text("working.go") not in shown
    asked = {"make": "trends", "place": "trends"}
    assert send(reader, "/work", "/products", **asked).status_code == 422
    close(app)


def test_trends_are_worked_out_when_somebody_asks(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    with_lines(app)
    reader = app.test_client()
    assert heading(page(reader, "/trends")) == "Find out what rises and what falls"
    answer = send(reader, "/work", "/trends", make="trends", place="trends", view="shifts")
    assert answer.location.startswith("/trends?view=shifts&work=")
    do(app, re.findall(r"work=([^&]+)", answer.location)[0])
    assert "confirmed" in heading(page(reader, "/trends"))
    close(app)


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_names_stay_text(tmp_path: Path, view: str, decided: Callable[..., Path]) -> None:
    app = app_of(decided(tmp_path, HOSTILE))
    shown = page(app.test_client(), f"/trends?view={view}")
    assert "<img src=x" not in shown
    assert "<script>alert" not in shown
    assert ">49<" not in shown
    close(app)


@pytest.mark.parametrize("shifts", [0, 2])
def test_no_recent_shift_is_not_called_unusual(reader: FlaskClient, shifts: int) -> None:
    app = reader.application
    with app.test_request_context("/trends"):
        tiles = _tiles(seen(), {}, shifts)
    note = next(one["note"] for one in tiles if one["label"] == text("trends.view.shifts"))
    assert note == text("trends.shifts.note" if shifts else "trends.shifts.none")
