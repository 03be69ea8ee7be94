"""Method: how the shown scores are computed, on a page."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pages import page

from kinds import shop
from shelfwise import analyze
from shelfwise.metrics import METRICS
from shelfwise.model import Model
from shelfwise.service import store
from shelfwise.texts import text

App = Callable[..., Flask]


def test_without_a_run_the_formulas_stand_there(app_with: App) -> None:
    shown = page(app_with().test_client(), "/method")
    assert text("method.title.none") in shown
    for metric in METRICS:
        assert f"<code>{metric.formulas[-1]}</code>" in shown


@pytest.mark.parametrize("profile", ["standard", "robust", "margin"])
@pytest.mark.parametrize("tiering", ["quota", "kmeans"])
def test_a_run_says_its_weights_cuts_and_model(app_with: App, profile: str, tiering: Any) -> None:
    app = app_with()
    rows = [row | {"unit_cost": 0.4 * float(row["price"])} for row in shop(60)]
    analysis = analyze(rows, profile=profile, tiering=tiering, period=28)
    run = store(app).runs.save(analysis, source="<img src=x onerror=alert(1)>")
    shown = page(app.test_client(), "/method")
    for scale in run.model.scales:
        real = run.summary["effective_weights"][scale.metric]
        assert f"{real:.0%}" in shown
        assert f"{scale.weight:.0%}" in shown
        assert text(f"method.scaling.{scale.scaling}") in shown
    assert run.model.parameters_sha256 in shown
    cut = f"High begins at {run.model.cut_high:.2f}"
    assert (cut in shown) == (tiering == "quota")  # By clusters no cut decides.
    assert f"Profile {profile}" in shown
    assert "4 weeks to" in shown
    assert "<img src=x" not in shown
    for warning in run.warnings:
        assert warning.code == "relative_scores" or warning.message.split(":")[0] in shown
    given = json.loads(page(app.test_client(), "/method.json", kind="application/json"))
    assert Model.from_parameters(given).id == run.model.id


def test_the_parts_of_the_example_add_up(app_with: App) -> None:
    app = app_with()
    store(app).runs.save(analyze(shop(30)))
    shown = page(app.test_client(), "/method")
    added = re.findall(r'<p class="sum">(.*?)</p>', shown, re.S)[0]
    parts = [float(one) for one in re.findall(r"<span>([0-9.]+) <small>", added)]
    total = float(re.findall(r"<strong>([0-9.]+)</strong>", added)[0])
    assert sum(parts) == pytest.approx(total, abs=0.02)


def test_what_is_withheld_is_said(app_with: App) -> None:
    app = app_with()
    rows = [{k: v for k, v in row.items() if k != "stock"} for row in shop(30)]
    store(app).runs.save(analyze(rows))
    assert text("method.withheld", names="Sell-through") in page(app.test_client(), "/method")


def test_a_run_that_is_not_there_is_said(app_with: App) -> None:
    page(app_with().test_client(), "/method?run=nothing", 404)
