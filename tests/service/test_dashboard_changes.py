"""What changed: two runs side by side, on a page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pages import heading, page

from kinds import shop
from shelfwise import analyze
from shelfwise.service import store
from shelfwise.service.kept import jobs
from shelfwise.store.run import Run
from shelfwise.texts import text

KEY = "a-key-of-sixteen-letters"
App = Callable[..., Flask]


def kept(app: Flask, rows: list[dict[str, Any]], period: float | None = 28, **more: Any) -> Run:
    given = {"source": "shop.csv", "label": more.pop("label", None)}
    return store(app).runs.save(analyze(rows, period=period, **more), **given)


def two(app: Flask, period: float = 28) -> tuple[Run, Run]:
    before = kept(app, shop(40)[:-1])
    rows = [row | {"units_sold": int(row["units_sold"]) + 5} for row in shop(40)[1:]]
    rows[0] |= {"name": "<img src=x onerror=alert(1)>", "category": "{{7*7}}", "price": 999.0}
    return before, kept(app, rows, period)


def test_one_run_alone_says_what_is_missing(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    assert heading(page(client, "/changes")) == text("empty.title")
    kept(app, shop(20))
    kept(app, shop(20), profile="robust")  # Of another kind: nothing to compare with.
    shown = page(client, "/changes")
    assert heading(shown) == text("changes.title.alone")
    assert 'href="/data"' in shown


def test_two_runs_are_compared_by_a_job_and_the_bridge_adds_up(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    before, after = two(app)
    shown = page(client, "/changes")
    assert text("changes.not_yet") in shown
    csrf = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    given = {"csrf": csrf, "since": before.id, "days_apart": "0"}
    with client.post("/changes", data=given) as answer:
        assert answer.status_code == 302
        place = answer.location
    with client.get(place) as answer:
        assert answer.headers["Refresh"]
        assert text("making.changes") in answer.get_data(as_text=True)
    with app.app_context():
        asked = jobs().newest()[0][0].request
    assert asked["since"] == before.id
    store(app).derived.make(after, "changes", since=before, policy=asked["policy"])
    with app.app_context():
        jobs().cancel(jobs().newest()[0][0].id)
    shown = page(client, "/changes")
    summary = store(app).derived.get(after, "changes").about["summary"]
    assert heading(shown) == text("changes.title", n=summary["really_changed"],
                                day=re.findall(r"since (.*)", heading(shown))[0])  # fmt: skip
    revenue = summary["revenue"]
    causes = sum(revenue[name] for name in ("volume", "price", "mix", "new", "lost"))
    assert revenue["before"] + causes == pytest.approx(revenue["after"])
    for told in ("Volume", "Price", "Mix", "New", "Lost", text("changes.matrix"), "Show data"):
        assert told in shown
    assert shown.count('<td class="same') == 3
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown
    assert "{{7*7}}" in shown
    # What is gone has no page in this run.
    gone, new = str(shop(1)[0]["product_id"]), str(shop(40)[-1]["product_id"])
    assert f'href="/product?id={gone}"' not in shown
    assert f'href="/product?id={new}"' in shown
    assert "gone, brought" in shown
    told = page(client, "/changes.csv", kind="text/csv").splitlines()
    assert len(told) == 1 + 40
    assert heading(page(client, f"/changes?since={before.id}")) == heading(shown)
    assert 'href="/changes"' in page(client, "/")


def test_periods_of_other_lengths_are_not_compared(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    before, after = two(app, period=31)
    shown = page(client, "/changes")
    assert text("changes.lengths", before="28", after="31") in shown
    store(app).derived.make(after, "changes", since=before)
    shown = page(client, "/changes")
    assert heading(shown) == text("changes.title.withheld")
    assert "the periods have 31 and 28 days" in shown or "the periods have 28 and 31 days" in shown
    assert 'name="days_apart"' in shown
    # The overview has nothing to say of it but where to look.
    told = page(client, "/")
    assert text("overview.changed") in told
    assert "really changed" not in heading(told)
    assert "on the run of" not in told
    store(app).derived.make(after, "changes", since=before, policy={"days_apart": 3})
    assert "nothing is scaled" in page(client, "/changes")


def test_the_run_before_is_the_last_one_of_the_same_kind_and_length(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    first = kept(app, shop(20), label="first")
    kept(app, shop(20), 7, label="a week")
    kept(app, shop(20), profile="robust")
    kept(app, shop(20))
    shown = page(client, "/changes")
    assert f'<option value="{first.id}" selected>' in shown


@pytest.mark.parametrize("query", ["since=nothing", "run=nothing"])
def test_a_run_that_is_not_there_is_said(app_with: App, query: str) -> None:
    app = app_with()
    kept(app, shop(20))
    page(app.test_client(), f"/changes?{query}", 404)


def test_a_run_is_not_compared_with_itself_nor_without_the_scope(app_with: App) -> None:
    app = app_with(api_key=KEY)
    before, after = two(app)
    client = app.test_client()
    key, _ = store(app).keys.create("reader", ["read"])
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page(client, "/sign-in"))[0]
    client.post("/sign-in", data={"csrf": csrf, "key": key})
    shown = page(client, "/changes")
    assert text("working.not_allowed") in shown
    csrf = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    given = {"csrf": csrf, "since": before.id}
    assert client.post("/changes", data=given).status_code == 403
    assert client.post("/changes", data={"since": before.id}).status_code == 403
    assert text("changes.wrong.same") in page(client, f"/changes?since={after.id}", 422)


def test_the_lead_names_the_run_before(app_with: App) -> None:
    app = app_with()
    client = app.test_client()
    before = kept(app, shop(20), label="Shop <b>")
    after = kept(app, shop(20))
    for _ in range(2):
        lead = re.findall(r'<p class="lead">(.*?)</p>', page(client, "/changes"), re.DOTALL)[0]
        assert "(<bdi>Shop &lt;b&gt;</bdi>)." in lead
        store(app).derived.make(after, "changes", since=before)
    kept(app, shop(20))
    shown = page(client, f"/changes?since={after.id}")
    assert "(<bdi>shop.csv</bdi>)." in shown
