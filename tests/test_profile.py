"""Profiles: from TOML and back, every refusal, and each scaling against plain computation."""

import math
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import Engine
from reference import quantile
from shelfwise.profile import PROFILES, Profile, load_profile

TOML = """
description = "What we earn on the floor space"

[terms]
margin_per_litre = { weight = 0.6, scaling = "winsor" }
stock_ratio = 0.25
lead_time = { weight = 0.15, scaling = "fixed", low = 0, high = 30 }

[metrics.margin_per_litre]
formula = "(price - unit_cost) * units_sold / pack_size"
unit = "money per litre"
meaning = "What a litre of shelf brings in."

[metrics.lead_time]
formula = "lead_time_days"
better = "lower"

[tiers]
high = 0.1
low = 0.3
"""


def product(i: int, **more: Any) -> dict[str, Any]:
    row = {"product_id": i, "name": f"P{i}", "price": 2.0 + i % 9, "units_sold": float(i * i % 53),
           "stock": float(i % 7), "unit_cost": 1.0 + i % 3, "pack_size": 1.0 + i % 4,
           "lead_time_days": float(i % 41)}  # fmt: skip
    return row | more


RANGE = [product(i) for i in range(1, 61)]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "floor.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def test_a_profile_of_ones_own_scores_by_its_formulas(frame: Engine, own: Path) -> None:
    got = frame.read(shelfwise.analyze(frame(RANGE), profile=own).products)
    per_litre = [
        (r["price"] - r["unit_cost"]) * r["units_sold"] / r["pack_size"] for r in RANGE
    ]  # fmt: skip
    assert [row["margin_per_litre"] for row in got] == per_litre
    low, high = quantile(per_litre, 0.05), quantile(per_litre, 0.95)
    ratios = [r["units_sold"] / (r["stock"] + r["units_sold"]) if r["units_sold"] else 0
              for r in RANGE]  # fmt: skip
    for i, row in enumerate(got):
        first = (min(max(per_litre[i], low), high) - low) / (high - low)
        second = (ratios[i] - min(ratios)) / (max(ratios) - min(ratios))
        third = 1 - min(RANGE[i]["lead_time_days"] / 30, 1)
        assert row["performance_score"] == pytest.approx(
            60 * first + 25 * second + 15 * third, abs=1e-9
        )
    tiers = [row["performance_tier"] for row in got]
    assert (tiers.count("High"), tiers.count("Low")) == (6, 18)


def test_a_toml_profile_is_named_by_its_file(own: Path) -> None:
    assert load_profile(own).name == "floor"
    assert load_profile(str(own)).description == "What we earn on the floor space"


def test_a_profile_survives_plain_values(own: Path) -> None:
    profile = load_profile(own)
    again = Profile.from_dict(profile.to_dict())
    assert again.to_dict() == profile.to_dict()
    scores = [
        shelfwise.analyze(RANGE, profile=p).products["performance_score"].to_list()
        for p in (profile, again)
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("name", PROFILES)
def test_a_built_in_profile_survives_plain_values(name: str) -> None:
    assert Profile.from_dict(PROFILES[name].to_dict()) == PROFILES[name]


def test_built_in_weights_are_those_of_the_method() -> None:
    for name, first in (("standard", "revenue"), ("robust", "revenue"), ("margin", "gross_margin")):
        weights = {term.metric: term.weight for term in PROFILES[name].terms}
        assert weights == {first: 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}


def profile_of(**given: Any) -> dict[str, Any]:
    return {"name": "mine", "terms": {"revenue": 1.0}} | given


REFUSED = {
    "no name": (profile_of(name=""), "needs a name"),
    "a path as name": (profile_of(name="../x"), "needs a name"),
    "no terms": (profile_of(terms={}), "scores nothing"),
    "unknown key": (profile_of(weights={}), "'weights' is no key of profile"),
    "terms no table": (profile_of(terms=3), "terms is 3"),
    "tiers no table": (profile_of(tiers=[1]), "tiers is"),
    "metrics no table": (profile_of(metrics="x"), "metrics is"),
    "unknown metric": (profile_of(terms={"profit": 1.0}), "'profit', which is no metric"),
    "weights above 1": (profile_of(terms={"revenue": 0.6, "stock_ratio": 0.6}), "add up to 1.2"),
    "weights below 1": (profile_of(terms={"revenue": 0.4}), "add up to 0.4"),
    "negative weight": (
        profile_of(terms={"revenue": 1.5, "stock_ratio": -0.5}), "weight of revenue is 1.5",
    ),
    "weight as text": (profile_of(terms={"revenue": "all"}), "terms.revenue.weight is 'all'"),
    "weight true": (profile_of(terms={"revenue": True}), "terms.revenue.weight is True"),
    "weight NaN": (profile_of(terms={"revenue": math.nan}), "terms.revenue.weight is nan"),
    "no weight": (
        profile_of(terms={"revenue": {"scaling": "rank"}}), "terms.revenue.weight is None",
    ),
    "unknown key of a term": (
        profile_of(terms={"revenue": {"weight": 1, "scale": "rank"}}), "no key of terms.revenue",
    ),
    "unknown scaling": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": "z"}}), "scaling of revenue is 'z'",
    ),
    "scaling as a list": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": ["z"]}}), "scaling of revenue",
    ),
    "unknown direction": (
        profile_of(terms={"revenue": {"weight": 1, "better": "more"}}), "higher or lower",
    ),
    "fixed without goalposts": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": "fixed"}}), "Give it low and high",
    ),
    "goalposts crossed": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": "fixed", "low": 2, "high": 1}}),
        "low < high",
    ),
    "goalposts equal": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": "fixed", "low": 2, "high": 2}}),
        "low < high",
    ),
    "goalposts as text": (
        profile_of(terms={"revenue": {"weight": 1, "scaling": "fixed", "low": "a", "high": 1}}),
        "terms.revenue.low is 'a'",
    ),
    "goalposts without fixed": (
        profile_of(terms={"revenue": {"weight": 1, "low": 0, "high": 1}}), "has goalposts",
    ),
    "shares above 1": (profile_of(tiers={"high": 0.7, "low": 0.7}), "tier shares"),
    "negative share": (profile_of(tiers={"high": -0.1}), "tier shares"),
    "share as text": (profile_of(tiers={"high": "20%"}), "tiers.high is '20%'"),
    "unknown key of tiers": (profile_of(tiers={"top": 0.2}), "no key of tiers"),
    "unknown zero price": (profile_of(zero_price="maybe"), "zero_price is 'maybe'"),
    "metric without formula": (
        profile_of(metrics={"m": {"unit": "x"}}), "metrics.m has no formula",
    ),
    "formula as a number": (profile_of(metrics={"m": {"formula": 3}}), "metrics.m has no formula"),
    "metric named as a built-in": (profile_of(metrics={"revenue": "price"}), "cannot be called"),
    "metric named as a column": (profile_of(metrics={"price": "stock"}), "cannot be called"),
    "metric with a bad name": (profile_of(metrics={"My Metric": "price"}), "cannot be called"),
    "metric named as a result": (profile_of(metrics={"rank": "price"}), "cannot be called"),
    "metric named as a group result": (
        profile_of(metrics={"performance_score": "price"}), "cannot be called",
    ),
    "unknown key of a metric": (
        profile_of(metrics={"m": {"formula": "price", "weight": 1}}), "no key of metrics.m",
    ),
    "formula without columns": (profile_of(metrics={"m": "1 + 2"}), "reads no column"),
    "formula over an unknown column": (profile_of(metrics={"m": "price * size"}), "reads 'size'"),
    "formula over text": (profile_of(metrics={"m": "name * 2"}), "reads 'name'"),
    "formula over a metric": (profile_of(metrics={"m": "revenue * 2"}), "reads 'revenue'"),
    "no arithmetic": (profile_of(metrics={"m": "price.real"}), "is refused"),
    "metric with an unknown direction": (
        profile_of(metrics={"m": {"formula": "price", "better": "more"}}), "higher or lower",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_profile_is_refused_with_its_reason(given: dict[str, Any], message: str) -> None:
    with pytest.raises(shelfwise.ProfileError) as caught:
        Profile.from_dict(given)
    assert message in str(caught.value)


def test_a_metric_twice_is_refused() -> None:
    term = PROFILES["standard"].terms[0]
    half = type(term)(term.metric, 0.5)
    with pytest.raises(shelfwise.ProfileError, match="names a metric twice"):
        Profile("double", (half, half))


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(shelfwise.ProfileError, match="standard, robust, margin"):
        load_profile("best")


def test_a_missing_profile_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(shelfwise.NotFoundError):
        load_profile(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"terms = [", b"\xff\xfe\x00", b"name = 'a'\nname = 'b'"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(shelfwise.ProfileError, match="cannot be read as TOML"):
        load_profile(path)


def one_term(**term: Any) -> Profile:
    return Profile.from_dict(profile_of(terms={"revenue": {"weight": 1.0} | term}))


REVENUE = [row["price"] * row["units_sold"] for row in RANGE]
LOW, HIGH = min(REVENUE), max(REVENUE)
LOGS = [math.log(1 + value) for value in REVENUE]
P05, P95 = quantile(REVENUE, 0.05), quantile(REVENUE, 0.95)


def held(value: float, low: float, high: float) -> float:
    return (min(max(value, low), high) - low) / (high - low)


SCALINGS: dict[str, tuple[dict[str, float], list[float]]] = {
    "minmax": ({}, [held(value, LOW, HIGH) for value in REVENUE]),
    "winsor": ({}, [held(value, P05, P95) for value in REVENUE]),
    "log1p": ({}, [held(value, min(LOGS), max(LOGS)) for value in LOGS]),
    "fixed": ({"low": 10, "high": 200}, [held(value, 10, 200) for value in REVENUE]),
}


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_scalings_equal_plain_computation(frame: Engine, better: str) -> None:
    # The same number four times, each scaled in its own way.
    terms = {
        f"by_{scaling}": {"weight": 0.25, "scaling": scaling, "better": better} | goalposts
        for scaling, (goalposts, _) in SCALINGS.items()
    }
    metrics = dict.fromkeys(terms, "price * units_sold")
    profile = Profile.from_dict(profile_of(terms=terms, metrics=metrics))
    got = frame.read(shelfwise.analyze(frame(RANGE), profile=profile).products)
    for scaling, (_, expected) in SCALINGS.items():
        turned = expected if better == "higher" else [1 - z for z in expected]
        parts = [row[f"contribution_by_{scaling}"] for row in got]
        assert parts == pytest.approx([25 * z for z in turned], abs=1e-9), scaling


def test_rank_is_the_share_of_products_below(frame: Engine) -> None:
    rows = [product(i, net_revenue=float(i) ** 3) for i in range(101)]
    profile = one_term(scaling="rank")
    got = frame.column(
        shelfwise.analyze(frame(rows), profile=profile).products, "performance_score"
    )
    assert got == pytest.approx([float(i) for i in range(101)], abs=1e-9)


def test_rank_gives_ties_the_middle_of_their_places() -> None:
    rows = [product(i, net_revenue=0.0 if i < 60 else float(i)) for i in range(101)]
    products = shelfwise.analyze(rows, profile=one_term(scaling="rank")).products
    got = products["performance_score"].to_list()
    assert got[:60] == pytest.approx([29.5] * 60, abs=0.51)
    assert got[60:] == pytest.approx([float(i) for i in range(60, 101)], abs=0.51)


def test_log1p_of_losses_keeps_their_sign(frame: Engine) -> None:
    rows = [product(i, net_revenue=value) for i, value in enumerate([-100.0, 0.0, 100.0])]
    profile = one_term(scaling="log1p")
    got = frame.column(
        shelfwise.analyze(frame(rows), profile=profile).products, "performance_score"
    )
    assert got == pytest.approx([0, 50, 100], abs=1e-9)


def test_an_optional_column_of_a_formula_becomes_required(own: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "pack_size"} for row in RANGE]
    with pytest.raises(shelfwise.InputError, match="pack_size"):
        shelfwise.analyze(rows, profile=own)
    with pytest.raises(shelfwise.RejectedRowsError, match="/2/pack_size: pack_size is missing"):
        shelfwise.analyze([*RANGE[:2], RANGE[2] | {"pack_size": None}], profile=own)
