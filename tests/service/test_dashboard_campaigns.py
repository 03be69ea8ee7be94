"""Campaigns: a form, the chosen list with what it rests on, and the lists by rule, on a page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import heading, page

from kinds import shop
from shelfwise import analyze
from shelfwise.insights.campaign import ASSOCIATION
from shelfwise.insights.sections import QUESTIONS
from shelfwise.service import store
from shelfwise.service.kept import jobs
from shelfwise.store.run import Run
from shelfwise.texts import text

KEY = "a-key-of-sixteen-letters"
BAD = "<img src=x onerror=alert(1)>"
App = Callable[..., Flask]


def kept(app: Flask, cost: bool = True) -> Run:
    rows = [
        row | {"name": BAD if n < 2 else row["name"], "category": ["Tea", "{{7*7}}"][n % 2],
               "units_sold": 60 + n, "stock": 90, "price": 10.0}
        for n, row in enumerate(shop(30))
    ]  # fmt: skip
    if cost:
        rows = [row | {"unit_cost": 1.0 + n % 8} for n, row in enumerate(rows)]
    return store(app).runs.save(analyze(rows, period=30), source="shop.csv")


def post(client: FlaskClient, **given: Any) -> Any:
    shown = page(client, "/campaigns")
    csrf = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    return client.post("/campaigns", data={"csrf": csrf, "view": "plan"} | given)


def asked(app: Flask) -> Any:
    with app.app_context():
        return jobs().newest()[0][0]


def test_without_a_run_it_says_how_to_get_one(app_with: App) -> None:
    assert heading(page(app_with().test_client(), "/campaigns")) == text("empty.title")


def test_the_form_has_every_setting_that_the_api_takes(app_with: App) -> None:
    app = app_with()
    kept(app)
    client = app.test_client()
    shown = page(client, "/campaigns")
    assert heading(shown) == text("campaigns.title.none")
    for kind, view in (("campaign", "plan"), ("marketing", "feature")):
        if kind == "marketing":
            store(app).derived.make("latest", "marketing")
            shown = page(client, f"/campaigns?view={view}")
        names = set(re.findall(r'id="p-([a-z_]+)"', shown))
        # How stock is judged is set where the inventory is.
        assert names == set(QUESTIONS[kind].policy.__struct_fields__) - {"inventory"}


def test_a_campaign_is_planned_by_the_form_and_shows_what_it_rests_on(app_with: App) -> None:
    app = app_with()
    run, client = kept(app), app.test_client()
    form = {"budget": "900", "days": "14", "most_products": "5", "discounts": "10, 25%",
            "assumed_uplift": "90", "margin_floor": "5", "exclude": "3, 4",
            "category_caps": "Tea = 2\n{{7*7}} = 4", "promoted": "6 = 2020-01-01",
            "exclude_categories": []}  # fmt: skip
    with post(client, **form) as answer:
        assert answer.status_code == 302, answer.get_data(as_text=True)
        place = answer.location
    assert "view=plan" in place
    with client.get(place) as answer:
        assert answer.headers["Refresh"]
    job = asked(app)
    policy = job.request["policy"]
    for name, value in {"budget": 900.0, "most_products": 5, "discounts": [0.1, 0.25],
                        "assumed_uplift": 0.9, "margin_floor": 0.05, "exclude": ["3", "4"],
                        "category_caps": {"Tea": 2, "{{7*7}}": 4},
                        "promoted": {"6": "2020-01-01"}}.items():  # fmt: skip
        assert policy[name] == value
    with app.app_context():
        jobs().cancel(job.id)
    store(app).derived.make(run, "campaign", policy=policy)
    shown = page(client, "/campaigns")
    about = store(app).derived.get(run, "campaign").about
    summary = about["summary"]
    assert summary["products"] == 5
    assert heading(shown).startswith("5 products on offer would add about ")
    assert text("campaigns.rests.assumed", share="100%") in shown
    assert text("campaigns.gap.optimal") in shown
    for told in about["assumptions"]:
        assert told.replace("'", "&#39;") in shown
    assert shown.count('class="flag mine"') == 5
    assert 'value="10, 25"' in shown
    assert "Tea = 2\n{{7*7}} = 4" in shown
    assert "Left out by you" in shown
    assert BAD not in shown
    lines = page(client, "/campaigns.csv?view=plan", kind="text/csv").splitlines()
    assert len(lines) == 1 + 5
    assert lines[0].startswith("product_id,name,category,discount,campaign_price,rests_on")


def test_what_is_left_empty_sets_no_limit(app_with: App) -> None:
    app = app_with()
    kept(app)
    with post(app.test_client(), most_products="", budget="") as answer:
        assert answer.status_code == 302
    policy = asked(app).request["policy"]
    assert policy["most_products"] == 30
    assert policy["budget"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": "-5"}, "budget"),
        ({"budget": "inf"}, "budget is no finite number"),
        ({"assumed_uplift": "inf"}, "assumed_uplift is no finite number"),
        ({"discounts": "ten"}, text("campaigns.wrong.number", field="Discounts", given="'ten'")),
        ({"discounts": "120"}, "discounts"),
        ({"category_caps": "Tea"}, "Tea = 3"),
        ({"category_caps": "Tea = many"}, "Tea = 3"),
        ({"promoted": "6 = yesterday"}, "promoted"),
        ({"days": "0"}, "days"),
        ({"margin_floor": BAD}, "Least margin"),
    ],
)
def test_a_wrong_setting_is_named_and_the_form_keeps_what_was_written(
    app_with: App, given: dict[str, str], told: str
) -> None:
    app = app_with()
    kept(app)
    with post(app.test_client(), fixed_cost="7", **given) as answer:
        assert answer.status_code == 422
        shown = answer.get_data(as_text=True)
    alert = re.findall(r'<p class="wrong" role="alert">(.*?)</p>', shown)[0]
    assert told.replace("'", "&#39;") in alert
    assert BAD not in shown
    assert re.search(r'name="fixed_cost"[^>]*value="7"', shown)


def test_without_costs_it_says_what_is_missing(app_with: App) -> None:
    app = app_with()
    run = kept(app, cost=False)
    store(app).derived.make(run, "campaign", policy={"assumed_uplift": 0.5})
    shown = page(app.test_client(), "/campaigns")
    assert heading(shown) == text("campaigns.title.withheld")
    assert "No unit cost is known" in shown


@pytest.mark.parametrize("view", ["feature", "promote", "clear", "do_not_promote"])
def test_the_lists_are_shown_and_exported(app_with: App, view: str) -> None:
    app = app_with()
    run, client = kept(app), app.test_client()
    shown = page(client, f"/campaigns?view={view}")
    assert text("making.marketing") in shown
    store(app).derived.make(run, "marketing")
    summary = store(app).derived.get(run, "marketing").about["summary"]
    shown = page(client, f"/campaigns?view={view}")
    assert heading(shown) == text(f"campaigns.title.{view}", n=summary[view])
    assert BAD not in shown
    lines = page(client, f"/campaigns.csv?view={view}", kind="text/csv").splitlines()
    assert len(lines) == 1 + summary[view]
    labels = page(client, "/campaigns/labels.csv", kind="text/csv").splitlines()
    assert labels[0].startswith("id,custom_label_0")
    assert len(labels) == 1 + 30


def test_a_list_that_is_none_is_said(app_with: App) -> None:
    app = app_with()
    kept(app)
    page(app.test_client(), "/campaigns?view=nothing", 422)
    page(app.test_client(), "/campaigns.csv", 404)


def test_a_form_needs_its_token_and_the_scope(app_with: App) -> None:
    app = app_with(api_key=KEY)
    kept(app)
    client = app.test_client()
    key, _ = store(app).keys.create("reader", ["read"])
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page(client, "/sign-in"))[0]
    client.post("/sign-in", data={"csrf": csrf, "key": key})
    shown = page(client, "/campaigns")
    assert text("working.not_allowed") in shown
    assert 'name="budget"' not in shown
    assert post(client).status_code == 403
    client.post("/sign-in", data={"csrf": csrf, "key": KEY})
    assert client.post("/campaigns", data={"view": "plan"}).status_code == 403


@pytest.mark.parametrize("budget", [None, 900])
def test_a_campaign_speaks_to_people(app_with: App, budget: float | None) -> None:
    app = app_with()
    run = kept(app)
    policy = {"assumed_uplift": 0.9, "budget": budget, "days": 14}
    store(app).derived.make(run, "campaign", policy=policy)
    shown = page(app.test_client(), "/campaigns")
    labels = re.findall(r'<span class="label">(.*?)</span>', shown)
    assert (text("campaigns.tile.cost") in labels) == (budget is not None)
    assert (text("campaigns.col.cost") in labels) == (budget is None)
    assert "shelfwise." not in ASSOCIATION
    assert "elasticities" not in text("campaigns.rests.elasticity")
