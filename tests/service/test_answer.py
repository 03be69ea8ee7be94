"""The answer: every key of the contract, values as they came, the same from every encoder."""

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from doors import PATH, PRODUCT, Door, catalogue, products
from shelfwise import analyze, answer

LARGE = answer.COLUMNAR_ROWS
COMPUTED = ["revenue", "stock_ratio", "sales_velocity", "performance_score", "rank",
            "performance_tier", "cluster", "flags"]  # fmt: skip
TIERS = ["High", "Medium", "Low"]
EXAMPLE = [
    {"product_id": 101, "name": "Desk lamp", "price": 199.99, "units_sold": 150, "stock": 50},
    {"product_id": 102, "name": "Mug", "price": 9.5, "units_sold": 40, "stock": 160},
    {"product_id": 103, "name": "Mat", "price": 25, "units_sold": 90.5, "stock": 0},
]


def shop(size: int) -> list[dict[str, Any]]:
    """A varied catalogue: whole numbers and fractions in the same columns."""
    return [
        {
            "product_id": n,
            "name": f"Product {n}",
            "price": n % 97 + 1 if n % 3 else (n % 97 + 1) / 4,
            "units_sold": (n * 31) % 200 if n % 5 else 3.7,
            "stock": (n * 17) % 90 if n % 7 else 12.25,
        }
        for n in range(size)
    ]


SIZES = [3, 12, LARGE - 1, LARGE, LARGE + 1]


def test_the_worked_example(door: Door) -> None:
    lamp = door(json.dumps(EXAMPLE).encode()).ok()["data"][0]
    assert lamp["revenue"] == 29998.5
    assert lamp["stock_ratio"] == 0.75
    assert lamp["sales_velocity"] == 0.750038


@pytest.mark.parametrize("size", [1, 3, LARGE])
@pytest.mark.parametrize("query", ["", "?explain=1", "?precision=full", "?period_days=30"])
def test_every_key_is_there_and_in_order(door: Door, size: int, query: str) -> None:
    found = door(json.dumps(shop(size)).encode(), path=PATH + query).ok()
    assert list(found) == ["status", "data", "rejected", "summary", "model", "warnings"]
    assert found["status"] == "success"
    computed = COMPUTED.copy()
    if "period" in query:
        computed.insert(3, "units_per_day")
    if "explain" in query:
        computed += ["contributions", "percentile", "abc_class", "to_high"]
    assert all(list(row) == [*PRODUCT, *computed] for row in found["data"])
    summary = found["summary"]
    assert list(summary) == [
        "products", "avg_score", "top_product", "total_revenue", "tiers", "clusters",
        "tier_by_cluster", "effective_weights", "tied_at_cuts", "skipped",
    ]  # fmt: skip
    assert [list(summary[key]) for key in ("tiers", "clusters", "tier_by_cluster")] == [TIERS] * 3
    assert all(list(counts) == TIERS for counts in summary["tier_by_cluster"].values())
    assert list(summary["effective_weights"]) == ["revenue", "stock_ratio", "sales_velocity"]
    assert list(summary["tied_at_cuts"]) == ["high", "low"]
    model = ["id", "profile", "tiering", "parameters_sha256", "version"]
    assert list(found["model"]) == model
    assert all(list(w) == ["code", "message", "hint"] for w in found["warnings"])


@pytest.mark.parametrize("size", SIZES)
def test_the_summary_adds_up(client: FlaskClient, size: int) -> None:
    found = client.post(PATH, json=shop(size)).json
    rows, summary = found["data"], found["summary"]
    assert summary["products"] == len(rows) == size
    tiers = [row["performance_tier"] for row in rows]
    clusters = [row["cluster"] for row in rows]
    assert summary["tiers"] == {tier: tiers.count(tier) for tier in TIERS}
    assert summary["clusters"] == {tier: clusters.count(tier) for tier in TIERS}
    both = list(zip(tiers, clusters, strict=True))
    assert summary["tier_by_cluster"] == {t: {c: both.count((t, c)) for c in TIERS} for t in TIERS}
    exact = sum(Fraction(p["price"]) * Fraction(p["units_sold"]) for p in shop(size))
    assert summary["total_revenue"] == pytest.approx(float(exact), abs=0.006)
    scores = [row["performance_score"] for row in rows]
    assert summary["avg_score"] == pytest.approx(math.fsum(scores) / size, abs=0.011)


@pytest.mark.parametrize("size", SIZES)
def test_products_come_back_in_order_and_as_they_came(client: FlaskClient, size: int) -> None:
    sent = shop(size)
    found = client.post(PATH, json=sent).json["data"]
    back = [{key: row[key] for key in PRODUCT} for row in found]
    assert json.dumps(back) == json.dumps(sent)


def test_money_has_two_decimals_and_ratios_six(door: Door) -> None:
    for body in (json.dumps(shop(12)).encode(), json.dumps(shop(LARGE)).encode()):
        short = door(body).ok()
        full = door(body, path=f"{PATH}?precision=full").ok()
        for row, exact in zip(short["data"], full["data"], strict=True):
            for name in ("revenue", "performance_score"):
                assert row[name] == pytest.approx(exact[name], abs=0.005001)
                assert row[name] == round(row[name], 2)
            for name in ("stock_ratio", "sales_velocity"):
                assert row[name] == pytest.approx(exact[name], abs=5.001e-7)
                assert row[name] == round(row[name], 6)
        assert any(row["stock_ratio"] != round(row["stock_ratio"], 6) for row in full["data"])
        assert full["data"][1]["sales_velocity"] == 31 / 2


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize(
    "cells",
    [
        (150, 3.7, 12.5), (150, 150.0, 3.7), (150, 150.0, 151), (0, 0.0, 0.5), (-0.0, 1, 2),
        (10**15, 0.5, 1), (1e15, 1, 2), (10**15 - 1, 0.5, 1), (1e-6, 1, 2), (1, 2, 3),
        (0.1, 0.2, 0.3), (123456789.125, 1, 2),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_comes_back_as_it_was_written(
    client: FlaskClient, size: int, cells: tuple[float, ...]
) -> None:
    sent = products(*({"units_sold": cells[n % 3], "stock": cells[-n % 3]} for n in range(size)))
    found = client.post(PATH, data=json.dumps(sent), content_type="application/json").json
    for key in ("units_sold", "stock"):
        assert json.dumps([row[key] for row in found["data"]]) == json.dumps([r[key] for r in sent])


OPTIONAL = {
    "net_revenue": [10, -2.5, None],
    "unit_cost": [1, 0.5, None],
    "category": ["a", 'b"\\', None],
    "brand": ["", "é", " "],
    "supplier": ["S", "S", None],
    "location": ["Köln", "Bonn", None],
    "parent_id": ["1", None, None],
    "on_order": [0, 7, None],
    "lead_time_days": [0, 3650, 1.5],
    "lead_time_sd": [1, 2.5, None],
    "pack_size": [1, 12, None],
    "min_order_qty": [0, 1, None],
    "launch_date": ["2026-01-31", None, "1999-12-31"],
    "discontinued": [True, False, None],
    "currency": ["EUR", "EUR", None],
}


@pytest.mark.parametrize("size", [3, LARGE])
def test_optional_columns_come_back_between_input_and_results(
    client: FlaskClient, size: int
) -> None:
    sent = products(*({k: v[n % 3] for k, v in OPTIONAL.items()} for n in range(size)))
    found = client.post(PATH, json=sent).json["data"]
    assert list(found[0]) == [*PRODUCT, *OPTIONAL, *COMPUTED]
    assert json.dumps([{k: row[k] for k in sent[0]} for row in found]) == json.dumps(sent)
    assert found[0]["revenue"] == 10


def test_a_column_that_only_some_products_have_is_null_for_the_others(door: Door) -> None:
    found = door(catalogue({}, {"category": "a"})).ok()["data"]
    assert [row["category"] for row in found] == [None, "a"]


@pytest.mark.parametrize("size", [4, LARGE])
def test_text_and_integer_ids_may_be_mixed(client: FlaskClient, size: int) -> None:
    ids = [n if n % 2 else f"00{n}" for n in range(size)]
    found = client.post(PATH, json=products(*({"product_id": i} for i in ids))).json["data"]
    assert [row["product_id"] for row in found] == ids


EXTRAS = {
    "objects with other keys": [{"a": 1}, {"b": 2}, {}],
    "an object and its wider kind": [{"a": 1}, {"a": 1.5}, {"a": None}],
    "nested objects": [{"a": {"b": 1}}, {"a": {"c": [1]}}, {"a": None}],
    "lists of integers and fractions": [[1], [2.5], []],
    "lists of lists": [[[1]], [[]], [[2.5]]],
    "lists with objects": [[{"a": 1}], [{"b": 1}], []],
    "text": ['a\n\t\u2028"\\', "", "👩‍👩‍👧"],
    "booleans": [True, False, None],
    "mixed kinds": [1, "1", True],
    "nulls": [None, None, None],
    "large integers": [2**63, -(2**63), 1],
    "huge integers": [2**70, 1, 2],
    "integers and fractions": [1, 2.5, 3],
    "large negative integers and a fraction": [-(10**20), 1.5, 2],
    "odd negative integer and a fraction": [-(10**17) - 1, 1.5, 2],
    "floats": [1e22, 5e-324, -0.0],
}


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("name", EXTRAS)
def test_unknown_values_come_back_as_they_came(client: FlaskClient, name: str, size: int) -> None:
    sent = products(*({"x": EXTRAS[name][n % 3]} for n in range(size)))
    found = client.post(f"{PATH}?extra=keep", json=sent).json["data"]
    assert json.dumps([row["x"] for row in found]) == json.dumps([row["x"] for row in sent])


@pytest.mark.parametrize("key", ["", "x", "a.b", 'say "hi"', "back\\slash", "é", "column_5", "f1"])
def test_unknown_keys_come_back_from_a_large_answer(client: FlaskClient, key: str) -> None:
    sent = products(*({key: n, "stock": n if n % 2 else 0.5} for n in range(LARGE)))
    response = client.post(f"{PATH}?extra=keep", json=sent)
    assert response.status_code == 200
    found = response.json["data"]
    assert [row[key] for row in found] == [row[key] for row in sent]
    assert json.dumps([row["stock"] for row in found]) == json.dumps([r["stock"] for r in sent])


PART = 700
LONG: dict[str, dict[str, list[Any]]] = {
    "fractions": {"price": [9.99, 0.5], "units_sold": [1.5, 2.25, 0.125], "stock": [0.75]},
    "whole floats": {"price": [150.0, 9.99], "units_sold": [3.0, 0.5], "stock": [0.0, 7.0]},
    "integers": {"price": [150, 7], "units_sold": [3, 0, 10**15], "stock": [4, 9]},
    "integers and fractions": {"price": [150, 9.99], "units_sold": [9.99, 150, 0],
                               "stock": [12.25, 0], "unit_cost": [1, 0.5]},
    "also whole floats": {"price": [150, 9.99, 150.0], "units_sold": [2.0, 2, 2.5]},
    "ids of digits": {"product_id": [str(n) for n in range(3 * PART + 1)], "price": [150, 9.99]},
    "gaps": {"category": ["a", None], "on_order": [5, None, 0], "unit_cost": [0.5, None],
             "discontinued": [True, None, False], "launch_date": ["2026-01-31", None]},
    "gaps among integers and fractions": {"on_order": [5, 0.5, None]},
    "hostile text": {
        "name": ['say "hi"', "back\\slash\\", "},{", "\u2028\u2029x", "👩‍👩‍👧", '.0,"rank":',
                 '1.0,"units_sold":2.0', "null"],
        "price": [150, 9.99],
        "category": ['.0,"revenue":', "\\", "}", None, ""],
        "note": ["},\n{", "\r\n\t\x00", '.0,"revenue":', '"'],
    },
    "unknown keys": {"units_sold": [150, 3.7], "x": [1, 2.5], "y": ["1", None], "z": [True, False]},
    "large unknown integers": {"units_sold": [150, 3.7], "x": [2**64, -(2**63), 1]},
    "huge unknown integers": {"units_sold": [150, 3.7], "x": [2**130, 1]},
    "integers beyond floats": {"units_sold": [150, 3.7], "x": [10**310, 1.5]},
    "nested": {"units_sold": [150, 3.7], "x": [{"a": [1, 2.0, {"b": None}]}, [], {'",{': "},{"}]},
}  # fmt: skip


def long_shop(kind: str, size: int) -> list[dict[str, Any]]:
    rows = ({k: v[n % len(v)] for k, v in LONG[kind].items()} for n in range(size))
    return products(*rows)


def as_written(text: str | bytes) -> Any:
    """JSON in which an integer is its digits: 150 is no longer equal to 150.0."""
    return json.loads(text, parse_int=lambda digits: ["integer", digits])


@pytest.mark.parametrize("size", [LARGE, 3 * PART, 3 * PART + 1])
@pytest.mark.parametrize("kind", LONG)
def test_a_long_answer_in_parts_is_the_same_answer(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    monkeypatch.setattr("shelfwise.answer.PART_ROWS", PART)
    sent = long_shop(kind, size)
    body = json.dumps(sent)
    response = client.post(f"{PATH}?extra=keep", data=body, content_type="application/json")
    analysis = analyze(sent)
    assert response.data == b"".join(answer.encode(analysis))
    assert json.dumps(response.json) == json.dumps(analysis.to_dict())
    found = as_written(response.data)["data"]
    assert [{key: row[key] for key in sent[0]} for row in found] == as_written(body)


def read_in_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in ("decode", "records"):
        monkeypatch.setattr(f"shelfwise.engines.{module}.PART_BYTES", size)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("kind", LONG)
def test_a_long_body_read_in_parts_gets_the_same_answer(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: str, indent: int | None
) -> None:
    body = json.dumps(long_shop(kind, LARGE), indent=indent)

    def ask() -> bytes:
        return client.post(f"{PATH}?extra=keep", data=body, content_type="application/json").data

    whole = ask()
    assert whole.startswith(b'{"status":"success"')
    for size in (1, 700, 30_000):
        read_in_parts(monkeypatch, size)
        assert ask() == whole


WRONG = {
    "a bad cell": b'{"product_id":9,"name":"a","price":-1,"units_sold":1,"stock":1}]',
    "a product twice": b'{"product_id":1,"name":"a","price":1,"units_sold":1,"stock":1}]',
    "a key less": b'{"product_id":9999,"name":"a","price":1,"units_sold":1}]',
    "no product": b"7]",
    "junk": b'{"product_id":9999,"name":"a","price":1,"units_sold":1,"stock":1}] x',
    "cut short": b'{"product_id":9999,"name":"a","price":1,"units',
    "no UTF-8": b'{"product_id":9999,"name":"\xff","price":1,"units_sold":1,"stock":1}]',
    "too deep": b'{"product_id":9999,"name":"a","price":1,"units_sold":1,"stock":1,"x":'
    + b"[" * 9_000 + b"]" * 9_000 + b"}]",
    "too many": b",".join(b'{"product_id":%d,"name":"a","price":1,"units_sold":1,"stock":1}' % n
                          for n in range(5_000, 7_000)) + b"]",
}  # fmt: skip


@pytest.mark.parametrize("end", WRONG.values(), ids=WRONG)
def test_what_is_wrong_at_the_end_of_a_long_body_is_said_the_same(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    body = json.dumps(long_shop("integers and fractions", LARGE)).encode()[:-1] + b"," + end

    def ask() -> dict[str, Any]:
        answered = client.post(PATH, data=body, content_type="application/json")
        assert answered.status_code in (400, 413, 422)
        return {key: value for key, value in answered.json.items() if key != "request_id"}

    whole = ask()
    for size in (1, 700, 30_000):
        read_in_parts(monkeypatch, size)
        assert ask() == whole


def test_a_long_answer_is_made_in_parts_of_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwise.answer.PART_ROWS", PART)
    parts = answer.encode(analyze(long_shop("integers and fractions", 3 * PART + 1)))
    assert isinstance(parts, Iterator)
    rows = [part.count(b'"product_id":') for part in parts]
    assert rows == [0, PART, PART, PART, 1, 0]


def test_an_answer_of_one_part_has_its_length(door: Door) -> None:
    for size in (LARGE - 1, LARGE):
        reply = door(json.dumps(long_shop("integers and fractions", size)).encode())
        assert reply.ok()["summary"]["products"] == size
        assert reply.headers["content-length"] == str(len(reply.body))


def test_only_an_answer_of_several_parts_has_no_length(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwise.answer.PART_ROWS", LARGE)
    for size, told in ((LARGE, True), (LARGE + 1, False)):
        body = json.dumps(long_shop("integers and fractions", size))
        reply = client.post(PATH, data=body, content_type="application/json")
        assert ("Content-Length" in reply.headers) is told


@pytest.mark.parametrize("size", [3, 50, LARGE])
@pytest.mark.parametrize("query", ["", "?explain=1&precision=full"])
def test_the_same_request_gets_the_same_bytes(door: Door, size: int, query: str) -> None:
    body = json.dumps(shop(size)).encode()
    assert len({door(body, path=PATH + query).body for _ in range(3)}) == 1


def test_both_doors_give_the_same_bytes(client: FlaskClient, live: Door) -> None:
    body = json.dumps(shop(LARGE)).encode()
    assert client.post(PATH, data=body, content_type="application/json").data == live(body).body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("precision", ["short", "full"])
def test_to_dict_is_the_answer_over_http(
    client: FlaskClient, size: int, explain: bool, precision: str
) -> None:
    query = f"?explain={int(explain)}&precision={precision}"
    found = client.post(PATH + query, json=shop(size)).json
    ours = analyze(shop(size)).to_dict(explain=explain, precision=precision)
    assert json.dumps(found) == json.dumps(ours)


numbers = st.one_of(
    st.integers(0, 10**6),
    st.integers(0, 10**15),
    st.floats(0, 1e15, allow_subnormal=False),
    st.floats(0, 1000).map(lambda x: round(x, 2)),
)
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32))))
)
cells = {
    "name": texts.filter(str.strip),
    "price": st.one_of(st.integers(1, 10**12), st.floats(1e-6, 1e12)),
    "units_sold": numbers,
    "stock": numbers,
}
optional = {
    "net_revenue": st.one_of(st.none(), st.floats(-1e27, 1e27), st.integers(-(10**27), 10**27)),
    "unit_cost": st.one_of(st.none(), st.floats(0, 1e12), st.integers(0, 10**12)),
    "category": st.one_of(st.none(), texts),
    "discontinued": st.one_of(st.none(), st.booleans()),
    "launch_date": st.one_of(st.none(), st.dates().map(str)),
}


@st.composite
def catalogues(draw: st.DrawFn) -> list[dict[str, Any]]:
    keys = draw(st.sets(st.sampled_from(list(optional))))
    row = st.fixed_dictionaries(cells | {key: optional[key] for key in sorted(keys)})
    rows = draw(st.lists(row, min_size=1, max_size=8))
    text = draw(st.booleans())
    return [{"product_id": f"{n:03}" if text else n} | row for n, row in enumerate(rows)]


@given(rows=catalogues(), full=st.booleans())
def test_the_large_encoder_writes_what_to_dict_says(rows: list[dict[str, Any]], full: bool) -> None:
    analysis = analyze(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer, "COLUMNAR_ROWS", 1)  # The encoder of the large ones.
        encoded = json.loads(b"".join(answer.encode(analysis, full=full)))
    plain = answer.to_dict(analysis, explain=False, full=full)
    assert json.dumps(encoded) == json.dumps(plain)
    given_back = [{key: row[key] for key in sent} for row, sent in
                  zip(encoded["data"], rows, strict=True)]  # fmt: skip
    assert json.dumps(given_back) == json.dumps(rows)


@pytest.mark.parametrize("size", [1, 2, 3, 50, LARGE])
@pytest.mark.parametrize("profile", ["standard", "robust"])
def test_contributions_add_up_to_the_score_bit_by_bit(
    client: FlaskClient, size: int, profile: str
) -> None:
    query = f"?explain=1&precision=full&profile={profile}"
    for row in client.post(PATH + query, json=shop(size)).json["data"]:
        first, second, third = row["contributions"].values()
        assert first + second + third == row["performance_score"]


def test_contributions_are_not_rounded_in_a_short_answer(client: FlaskClient) -> None:
    def parts(query: str) -> list[Any]:
        data = client.post(f"{PATH}?explain=1{query}", json=shop(40)).json["data"]
        return [row["contributions"] for row in data]

    assert parts("") == parts("&precision=full")


@pytest.mark.parametrize("size", SIZES)
def test_rank_is_the_competition_rank_by_score(client: FlaskClient, size: int) -> None:
    data = client.post(f"{PATH}?precision=full", json=shop(size)).json["data"]
    # Scores that differ below 1e-9 are the same score.
    keys = [math.floor(row["performance_score"] * 1e9 + 0.5) for row in data]
    better = {key: place for place, key in reversed(list(enumerate(sorted(keys, reverse=True), 1)))}
    assert [row["rank"] for row in data] == [better[key] for key in keys]


def test_equal_products_share_a_rank_and_the_next_is_left_out(door: Door) -> None:
    data = door(catalogue({"price": 9}, {}, {"price": 9}, {})).ok()["data"]
    assert [row["rank"] for row in data] == [1, 3, 1, 3]


def test_top_product_is_the_best_score_then_revenue_then_the_first(door: Door) -> None:
    def top(*changes: dict[str, Any]) -> str:
        return str(door(catalogue(*changes)).ok()["summary"]["top_product"])

    assert top({"name": "a"}, {"name": "b", "units_sold": 9}) == "b"
    assert top({"name": "a"}, {"name": "b"}) == "a"
    nothing = {"units_sold": 0, "stock": 5}
    assert top(nothing | {"name": "z"}, nothing | {"name": "y", "net_revenue": 0}) == "z"


def test_revenue_is_in_money_and_declared_revenue_wins(door: Door) -> None:
    data = door(catalogue({}, {"net_revenue": 5.55}, {"net_revenue": -1})).ok()["data"]
    assert [row["revenue"] for row in data] == [7.5, 5.55, -1]


def test_the_period_adds_units_per_day(door: Door) -> None:
    found = door(catalogue({}, {"units_sold": 10}), path=f"{PATH}?period_days=7").ok()["data"]
    assert [row["units_per_day"] for row in found] == [0.428571, 1.428571]


def test_tiering_by_clusters_makes_tiers_the_clusters(client: FlaskClient) -> None:
    found = client.post(f"{PATH}?tiering=kmeans", json=shop(60)).json
    assert found["model"]["tiering"] == "kmeans"
    assert all(row["performance_tier"] == row["cluster"] for row in found["data"])


def test_a_profile_changes_the_scores_and_is_named(client: FlaskClient) -> None:
    sent = [row | {"unit_cost": 0.1} for row in shop(60)]
    for profile in ("standard", "robust", "margin"):
        found = client.post(f"{PATH}?profile={profile}", json=sent).json
        assert found["model"]["profile"] == profile
    assert "gross_margin" in found["data"][0]


@pytest.mark.parametrize("count", [1, 4, 5])
def test_few_products_are_said_to_be_few(door: Door, count: int) -> None:
    warnings = door(catalogue(*({"price": n + 1} for n in range(count)))).ok()["warnings"]
    codes = {warning["code"] for warning in warnings}
    assert ("relative_scores" in codes) == (count < 5)
    assert "unstable_clusters" in codes


def test_explain_adds_percentile_class_and_units_to_high(client: FlaskClient) -> None:
    data = client.post(f"{PATH}?explain=1", json=shop(50)).json["data"]
    for row in data:
        assert row["percentile"] == pytest.approx(100 * (50 - row["rank"]) / 49, abs=0.006)
        assert row["abc_class"] in "ABCN"
        assert (row["abc_class"] == "N") == (row["revenue"] == 0)
        if row["performance_tier"] == "High":
            assert row["to_high"] == 0
    (alone,) = client.post(f"{PATH}?explain=1", json=[PRODUCT]).json["data"]
    assert alone["percentile"] is None
