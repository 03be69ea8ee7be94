"""/v1/overrides and /v1/decisions: what people say, and how it shows on the products of runs."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook
from test_v1_models import send
from test_v1_runs import HOSTILE, get, post

import shelfwise
from doors import Answer, ClientDoor, Door
from kinds import shop
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store

MARCH, APRIL, MAY = "2026-03-31", "2026-04-30", "2026-05-31"
OVERRIDE = {"product_id": 7, "tier": "High", "reason": "The season begins."}
DECISION = {"product_id": 7, "action": "reorder", "verdict": "dismissed", "reason": "It stops."}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings({}, data_dir=tmp_path / "kept", database_url=database_url)


@pytest.fixture
def kept_door(settings: Settings, client_of: Callable[..., FlaskClient]) -> Door:
    """The application on a store with the runs of March, April and May."""
    with Store(settings) as store:
        for times, day in enumerate((MARCH, APRIL, MAY), start=1):
            analysis = shelfwise.analyze(shop(30, times))
            store.runs.save(analysis, as_of=dt.date.fromisoformat(day), label=day)
    door = client_of(data_dir=settings.data_dir, database_url=settings.database_url)
    return ClientDoor(door)


def run_of(door: Door, day: str) -> str:
    return next(r["id"] for r in get(door, "/v1/runs").ok()["data"] if r["as_of"] == day)


def override(door: Door, **more: Any) -> Any:
    answer = send(door, "POST", "/v1/overrides", OVERRIDE | more)
    assert answer.status == 201, answer.body
    return answer.json()


def products(door: Door, run_id: str, query: str = "", kind: str = "json") -> Answer:
    found: Answer = get(door, f"/v1/runs/{run_id}/products.{kind}?{query}".rstrip("?"))
    assert found.status == 200, found.body
    return found


def shown(door: Door, run_id: str, query: str = "limit=1000") -> dict[Any, Any]:
    """The products of a page that have an override, and what it tells."""
    rows = products(door, run_id, query).json()["data"]
    return {row["product_id"]: row["tier_override"] for row in rows if "tier_override" in row}


def test_an_override_is_set_listed_shown_and_ended(kept_door: Door) -> None:
    april = run_of(kept_door, APRIL)
    before = products(kept_door, april, "limit=1000").json()["data"]
    made = override(kept_door, run_id=april, last_day="2026-06-30")
    assert made | {"id": "", "created_at": ""} == {
        "id": "", "product_id": "7", "location": None, "reason": "The season begins.",
        "who": "this machine", "created_at": "", "first_day": APRIL, "last_day": "2026-06-30",
        "tier": "High", "ended_at": None,
    }  # fmt: skip
    assert get(kept_door, "/v1/overrides").ok() == {"data": [made], "next": None}
    told = {"tier": "High", "reason": "The season begins.", "who": "this machine",
            "last_day": "2026-06-30"}  # fmt: skip
    assert shown(kept_door, april) == shown(kept_door, "latest") == {7: told}
    assert shown(kept_door, run_of(kept_door, MARCH)) == {}
    after = products(kept_door, april, "limit=1000").json()["data"]
    assert [{k: v for k, v in row.items() if k != "tier_override"} for row in after] == before
    path = f"/v1/overrides/{made['id']}"
    ended = send(kept_door, "DELETE", f"{path}?run_id=latest").ok()
    assert ended["last_day"] == "2026-05-30"
    assert ended["ended_at"] is not None
    assert send(kept_door, "DELETE", path).ok() == ended
    assert list(shown(kept_door, april)) == [7]
    assert shown(kept_door, "latest") == {}
    assert get(kept_door, "/v1/overrides").ok()["data"] == [ended]
    assert get(kept_door, "/v1/overrides?active=1").ok()["data"] == []


def test_an_override_is_kept_over_a_run_that_comes_later(kept_door: Door) -> None:
    override(kept_door, run_id="latest")
    run_id = post(kept_door, shop(30, 9), "?save=1").ok()["run_id"]
    assert list(shown(kept_door, run_id)) == [7]


def test_every_format_has_the_tier_as_text_and_the_same_columns_without_one(
    kept_door: Door,
) -> None:
    read: dict[str, Callable[[bytes], list[Any]]] = {
        "csv": lambda body: [row["tier_override"] or None for row in
                             csv.DictReader(io.StringIO(body.decode()))],
        "ndjson": lambda body: [json.loads(line)["tier_override"] for line in body.splitlines()],
        "parquet": lambda body: pl.read_parquet(body)["tier_override"].to_list(),
        "arrow": lambda body: pl.read_ipc_stream(body)["tier_override"].to_list(),
        "xlsx": lambda body: _column(body, "tier_override"),
    }  # fmt: skip
    for kind, values in read.items():
        assert values(products(kept_door, "latest", kind=kind).body) == [None] * 30
    bare = pl.read_parquet(products(kept_door, "latest", kind="parquet").body)
    override(kept_door, run_id="latest")
    ids = [row["product_id"] for row in
           products(kept_door, "latest", "limit=1000").json()["data"]]  # fmt: skip
    for kind, values in read.items():
        body = products(kept_door, "latest", kind=kind).body
        assert values(body) == ["High" if found == 7 else None for found in ids], kind
    table = pl.read_parquet(products(kept_door, "latest", kind="parquet").body)
    assert table.schema == bare.schema
    assert table.schema["tier_override"] == pl.String
    assert table.drop("tier_override").equals(bare.drop("tier_override"))


def _column(body: bytes, name: str) -> list[Any]:
    sheet = load_workbook(io.BytesIO(body)).active
    assert sheet is not None
    head, *rows = sheet.values
    return [row[list(head).index(name)] for row in rows]


def test_products_are_filtered_and_sorted_by_their_override(kept_door: Door) -> None:
    assert shown(kept_door, "latest", "overridden=1") == {}
    for product_id, tier in ((3, "Low"), (9, "High"), (20, "Low"), (27, "Medium")):
        override(kept_door, run_id="latest", product_id=product_id, tier=tier)
    address = "overridden=1&limit=3"
    first = products(kept_door, "latest", address).json()
    second = products(kept_door, "latest", f"{address}&after={first['next']}").json()
    assert [row["product_id"] for row in first["data"] + second["data"]] == [3, 9, 20, 27]
    assert second["next"] is None
    assert list(shown(kept_door, "latest", "overridden=1&category=Garden")) == [20]
    assert list(shown(kept_door, "latest", "overridden=1&search=product%2003")) == [3]
    assert len(products(kept_door, "latest", "overridden=0").json()["data"]) == 30
    assert list(shown(kept_door, "latest", "sort=tier_override&limit=4")) == [9, 3, 20, 27]
    table = pl.read_csv(products(kept_door, "latest", "overridden=1", "csv").body)
    assert table["tier_override"].to_list() == ["Low", "High", "Low", "Medium"]
    get(kept_door, "/v1/runs/latest/products.json?overridden=yes").problem(422)


def test_a_client_gets_304_until_somebody_says_something(kept_door: Door) -> None:
    paths = [f"/v1/runs/latest/products.{kind}" for kind in ("json", "csv", "parquet")]

    def tags() -> list[str]:
        return [get(kept_door, path).headers["etag"] for path in paths]

    def statuses(known: list[str]) -> set[int]:
        return {get(kept_door, path, If_None_Match=tag).status
                for path, tag in zip(paths, known, strict=True)}  # fmt: skip

    known = tags()
    assert statuses(known) == {304}
    made = override(kept_door, run_id="latest")
    assert statuses(known) == {200}
    known = tags()
    assert statuses(known) == {304}
    send(kept_door, "DELETE", f"/v1/overrides/{made['id']}?run_id=latest").ok()
    assert statuses(known) == {200}


def test_a_decision_is_kept_and_listed(kept_door: Door) -> None:
    april = run_of(kept_door, APRIL)
    answer = send(kept_door, "POST", "/v1/decisions", DECISION | {"run_id": april})
    made = answer.json()
    assert answer.status == 201
    assert made | {"id": "", "created_at": ""} == {
        "id": "", "product_id": "7", "location": None, "reason": "It stops.",
        "who": "this machine", "created_at": "", "first_day": APRIL, "last_day": None,
        "action": "reorder", "verdict": "dismissed", "run_id": april, "amount": None,
    }  # fmt: skip
    other = DECISION | {"product_id": "8", "action": "clear", "last_day": "2099-12-31"}
    second = send(kept_door, "POST", "/v1/decisions", other).json()
    accepted = DECISION | {"verdict": "accepted", "amount": 96}
    newest = send(kept_door, "POST", "/v1/decisions", accepted).json()
    assert newest["amount"] == 96
    every = [newest, second, made]
    for query, expected in {
        "": every, "product_id=8": [second], "action=clear": [second], "active=1": [newest, second],
        f"run_id={april}": [made], "run_id=latest": [], "product_id=7&action=reorder&limit=1":
        [newest],
    }.items():  # fmt: skip
        assert get(kept_door, f"/v1/decisions?{query}").ok()["data"] == expected, query
    page = get(kept_door, "/v1/decisions?limit=2")
    assert page.ok()["data"] == every[:2]
    link = page.headers["link"].partition(">")[0].removeprefix("<")
    assert get(kept_door, link).ok() == {"data": [made], "next": None}
    for wrong, status in (
        ("action=buy", 422),
        ("run_id=nothing", 404),
        ("run_id=a%20b", 422),
        ("active=2", 422),
        ("product_id=a%00b", 422),
        ("tier=High", 422),
    ):
        get(kept_door, f"/v1/decisions?{wrong}").problem(status)


WRONG: dict[str, tuple[dict[str, Any], int]] = {
    "a product that the run lacks": ({"product_id": "x", "run_id": "latest"}, 422),
    "a location that the run lacks": ({"location": "Rome", "run_id": "latest"}, 422),
    "a run that is not there": ({"run_id": "nothing"}, 404),
    "a run that cannot be": ({"run_id": "../x"}, 422),
    "a last day before the run": ({"run_id": "latest", "last_day": "2026-05-30"}, 422),
    "a last day that has passed": ({"last_day": "2000-01-01"}, 422),
    "a day that does not exist": ({"last_day": "2026-02-30"}, 422),
    "a moment for a day": ({"last_day": "2026-03-01T10:00:00Z"}, 422),
    "NUL in the reason": ({"reason": "a\x00b"}, 422),
    "a newline at the end of the reason": ({"reason": "a\n"}, 422),
    "a reason of blanks": ({"reason": " \u3000"}, 422),
    "a reason of 501 letters": ({"reason": "x" * 501}, 422),
    "a reason that is no text": ({"reason": 1}, 422),
    "a control character in the id": ({"product_id": "a\tb"}, 422),
    "an id of 256 letters": ({"product_id": "x" * 256}, 422),
    "an id beyond 64 bits": ({"product_id": 2**63}, 422),
    "an id that is no id": ({"product_id": True}, 422),
    "an empty location": ({"location": ""}, 422),
    "a key that nobody knows": ({"who": "somebody else"}, 422),
}


@pytest.mark.parametrize(("wrong", "status"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(kept_door: Door, wrong: dict[str, Any], status: int) -> None:
    for path, body in (("/v1/overrides", OVERRIDE), ("/v1/decisions", DECISION)):
        send(kept_door, "POST", path, body | wrong).problem(status)
        assert get(kept_door, path).ok()["data"] == []
    assert get(kept_door, "/v1/audit").ok()["data"] == []


def test_values_and_bodies_that_do_not_fit_are_refused(kept_door: Door) -> None:
    for path, body in (
        ("/v1/overrides", OVERRIDE | {"tier": "Best"}),
        ("/v1/overrides", OVERRIDE | {"first_day": "2026-04-02", "last_day": "2026-04-01"}),
        ("/v1/decisions", DECISION | {"action": "buy"}),
        ("/v1/decisions", DECISION | {"verdict": "maybe"}),
        ("/v1/decisions", DECISION | {"verdict": "accepted", "amount": 0}),
        ("/v1/decisions", DECISION | {"first_day": MARCH}),
        *((path, body) for path in ("/v1/overrides", "/v1/decisions") for body in ({}, [], None)),
    ):
        send(kept_door, "POST", path, body).problem(400 if body is None else 422)
        assert get(kept_door, path).ok()["data"] == []
    surrogate = json.dumps(OVERRIDE).replace("season", r"\ud800").encode()
    answer = kept_door(surrogate, path="/v1/overrides")
    answer.problem(answer.status)
    assert answer.status in (400, 422)
    send(kept_door, "DELETE", "/v1/overrides/nothing").problem(404)
    made = override(kept_door, run_id="latest")
    send(kept_door, "DELETE", f"/v1/overrides/{made['id']}?run_id=nothing").problem(404)
    for bad in ("..", "%2e%2e", "a%00b", "x" * 65, "a%20b"):
        assert send(kept_door, "DELETE", f"/v1/overrides/{bad}").status in (404, 405, 308)
    assert get(kept_door, "/v1/overrides?active=1").ok()["data"] == [made]


@pytest.mark.parametrize("text", [*HOSTILE, "'; DROP TABLE tier_overrides;--", "\u202eevil😀"])
def test_hostile_texts_stay_text(kept_door: Door, text: str) -> None:
    if "\t" in text:
        send(kept_door, "POST", "/v1/overrides", OVERRIDE | {"reason": text}).problem(422)
        text = text.replace("\t", " ")
    rows = [row | {"product_id": f"{text}{n}", "location": text} for n, row in enumerate(shop(9))]
    run_id = post(kept_door, rows, "?save=1").ok()["run_id"]
    name = f"{text}3"
    made = override(kept_door, product_id=name, location=text, reason=text, run_id=run_id)
    assert (made["product_id"], made["location"], made["reason"]) == (name, text, text)
    page = products(kept_door, run_id, "limit=100")
    assert page.headers["content-type"] == "application/json"
    told = {row["product_id"]: row["tier_override"]["reason"] for row in page.json()["data"]
            if "tier_override" in row}  # fmt: skip
    assert told == {name: text}
    table = pl.read_parquet(products(kept_door, run_id, "overridden=1", "parquet").body)
    assert table["product_id"].to_list() == [name]
    assert get(kept_door, "/v1/overrides?product_id=%25").ok()["data"] == []


def test_every_change_is_written_down_without_what_was_said(kept_door: Door) -> None:
    made = override(kept_door, run_id="latest")
    decided = send(kept_door, "POST", "/v1/decisions", DECISION).json()
    send(kept_door, "DELETE", f"/v1/overrides/{made['id']}").ok()
    log = get(kept_door, "/v1/audit").ok()["data"]
    assert [(entry["action"], entry["target"]) for entry in reversed(log)] == [
        ("override.set", made["id"]), ("decision.add", decided["id"]), ("override.end", made["id"])
    ]  # fmt: skip
    assert "season" not in json.dumps(log)


def test_whoever_says_it_is_named_by_the_key(
    settings: Settings, client_of: Callable[..., FlaskClient]
) -> None:
    with Store(settings) as store:
        text, key = store.keys.create("till 4", ["analyze"])
    client = client_of(data_dir=settings.data_dir, database_url=settings.database_url)
    answer = send(ClientDoor(client), "POST", "/v1/overrides", OVERRIDE, **{"X-API-Key": text})
    assert answer.json()["who"] == f"key {key.prefix}"


def test_an_input_cannot_bring_an_override(kept_door: Door) -> None:
    rows = [row | {"tier_override": "High"} for row in shop(5)]
    answer = post(kept_door, rows, "?save=1&extra=keep").ok()
    assert "result_keys_ignored" in {warning["code"] for warning in answer["warnings"]}
    assert shown(kept_door, answer["run_id"]) == {}
