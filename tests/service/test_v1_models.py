"""/v1/models and scoring against what is kept; keys, scopes, audit and the rate of requests."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from test_v1_runs import get, post

import shelfwise
from doors import PATH, Answer, ClientDoor, Door
from kinds import shop
from shelfwise.service import create_app, store
from shelfwise.service.contract import ENDPOINTS
from shelfwise.settings import load_settings
from shelfwise.store.keys import KEY, SCOPES

ROOT = "root-0123456789-abcdef"


def send(door: Door, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    return door(content, path=path, method=method, headers=headers)


@pytest.fixture
def app(database_url: str, tmp_path: Path, client_of: Callable[..., FlaskClient]) -> Flask:
    return client_of(data_dir=tmp_path / "kept", database_url=database_url).application


@pytest.fixture
def open_door(app: Flask) -> Door:
    return ClientDoor(app.test_client())


@pytest.fixture
def keyed(
    database_url: str, tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> tuple[Door, dict[str, str]]:
    """A door that needs keys, and the header of one that may do everything."""
    client = client_of(data_dir=tmp_path / "kept", database_url=database_url, api_key=ROOT)
    return ClientDoor(client), {"Authorization": f"Bearer {ROOT}"}


def test_a_model_is_trained_rolled_out_used_and_rolled_back(open_door: Door) -> None:
    post(open_door, shop(), "?save=1").ok()
    first = send(open_door, "POST", "/v1/models", {"name": "shop", "run": "latest"})
    assert first.status == 201
    assert first.headers["location"] == "/v1/models/shop@1"
    assert first.json()["aliases"] == ["current"]
    post(open_door, shop(60), "?save=1").ok()
    send(open_door, "POST", "/v1/models", {"name": "shop", "run": "latest", "alias": "next"})
    small = shop(4)
    scores = {}
    for reference in ("shop", "shop@current", "shop@1", "shop@next", "shop@2", "shop@latest"):
        answer = post(open_door, small, f"?model={reference}").ok()
        scores[reference] = [row["performance_score"] for row in answer["data"]]
    assert scores["shop"] == scores["shop@current"] == scores["shop@1"]
    assert scores["shop@next"] == scores["shop@2"] == scores["shop@latest"] != scores["shop"]
    moved = send(open_door, "PUT", "/v1/models/shop/aliases/current", {"version": 2}).ok()
    assert moved["aliases"] == ["current", "next"]
    now = post(open_door, small, "?model=shop").ok()["data"]
    assert [row["performance_score"] for row in now] == scores["shop@2"]
    send(open_door, "PUT", "/v1/models/shop/aliases/current", {"version": 1}).ok()
    versions = get(open_door, "/v1/models/shop/versions").ok()["data"]
    assert [(v["version"], v["aliases"]) for v in versions] == [(2, ["next"]), (1, ["current"])]
    assert [v["version"] for v in get(open_door, "/v1/models").ok()["data"]] == [1]


def test_parameters_travel_between_machines(open_door: Door) -> None:
    analysis = shelfwise.analyze(shop())
    body = {"name": "other", "parameters": analysis.model.parameters}
    assert send(open_door, "POST", "/v1/models", body).status == 201
    assert get(open_door, "/v1/models/other/parameters").ok() == analysis.model.parameters
    rows = post(open_door, shop(), "?model=other&precision=full").ok()["data"]
    expected = analysis.to_dict(precision="full")["data"]
    assert rows == json.loads(json.dumps(expected))


def test_drift_is_told(open_door: Door) -> None:
    post(open_door, shop(), "?save=1").ok()
    send(open_door, "POST", "/v1/models", {"name": "shop", "run": "latest"})
    more = [row | {"units_sold": row["units_sold"] * 9} for row in shop()]
    post(open_door, more, "?save=1&model=shop").ok()
    found = get(open_door, "/v1/models/shop/drift").ok()["data"]
    assert found[0]["verdict"] == "shifted"
    assert found[0]["clipped"] > 0.5
    run = get(open_door, "/v1/runs?limit=2").ok()["data"][1]["id"]
    still = get(open_door, f"/v1/models/shop/drift?run={run}").ok()["data"]
    assert {one["verdict"] for one in still} == {"stable"}


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"name": "a"}, 422), ({"name": "a", "run": "x", "parameters": {}}, 422),
     ({"name": "a b", "run": "x"}, 422), ({"name": "a", "run": "x"}, 404),
     ({"name": "a", "run": "latest", "alias": "7"}, 422), ({"name": "a", "parameters": {}}, 422),
     ({"name": "a", "run": "latest", "alias": "latest"}, 422),
     ({"name": "a", "parameters": {"version": 1}}, 422), ([], 422)],
)  # fmt: skip
def test_models_that_do_not_fit_are_refused(open_door: Door, body: Any, status: int) -> None:
    send(open_door, "POST", "/v1/models", body).problem(status)
    assert get(open_door, "/v1/models").ok()["data"] == []


def test_what_is_not_there_is_404(open_door: Door) -> None:
    for path in ("/v1/models/nope", "/v1/models/nope@2", "/v1/models/nope/versions",
                 "/v1/models/nope/drift", "/v1/models/nope/parameters"):  # fmt: skip
        get(open_door, path).problem(404)
    post(open_door, shop(), "?model=nope").problem(404)
    send(open_door, "PUT", "/v1/models/nope/aliases/current", {"version": 1}).problem(404)


def test_a_model_is_added_once_for_a_key(open_door: Door) -> None:
    post(open_door, shop(), "?save=1").ok()
    key = {"Idempotency-Key": "train-1"}
    body = {"name": "shop", "run": "latest"}
    first = send(open_door, "POST", "/v1/models", body, **key)
    again = send(open_door, "POST", "/v1/models", body, **key)
    assert (again.status, again.body) == (first.status, first.body)
    assert len(get(open_door, "/v1/models/shop/versions").ok()["data"]) == 1


def test_a_fixed_model_gives_way_to_a_named_one(
    tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> None:
    fixed = shelfwise.analyze(shop(60)).model
    fixed.save(tmp_path / "m.json")
    door = ClientDoor(client_of(data_dir=tmp_path, model=tmp_path / "m.json"))
    post(door, shop(), f"?save=1&model={fixed.id}").ok()
    send(door, "POST", "/v1/models", {"name": "shop", "run": "latest"})
    answer = post(door, shop(5), "?model=shop").ok()
    assert answer["model"]["id"] == fixed.id
    post(door, shop(5), "?model=shop&profile=robust").problem(422)


def test_keys_open_what_their_scopes_say(keyed: tuple[Door, dict[str, str]]) -> None:
    door, root = keyed
    made = {}
    for scope in SCOPES:
        body = {"name": f"for {scope}", "scopes": [scope]}
        answer = send(door, "POST", "/v1/keys", body, **root)
        assert answer.status == 201
        assert KEY.fullmatch(answer.json()["key"])
        made[scope] = {"X-API-Key": answer.json()["key"]}
    post(door, shop(), "?save=1", **root).ok()
    for name, one in ENDPOINTS.items():
        if one.scope is None:
            continue
        path = one.path.replace("{format}", "json").replace("{table}", "trends")
        path = path.replace("{document}", "html")
        path = re.sub(r"{\w+}", "nope", path)
        for scope, header in made.items():
            status = send(door, one.method, path, {}, **header).status
            if scope in (*one.scope.split(" or "), "admin"):
                assert status not in (401, 403), (name, scope)
            else:
                assert status == 403, (name, scope)


def test_a_key_tells_what_it_may_do(keyed: tuple[Door, dict[str, str]], open_door: Door) -> None:
    door, root = keyed
    body = {"name": "till", "scopes": ["read", "analyze"]}
    made = send(door, "POST", "/v1/keys", body, **root).json()
    found = get(door, "/v1/key", **{"X-API-Key": made["key"]}).ok()
    assert found == {"who": f"key {made['about']['prefix']}", "scopes": ["analyze", "read"]}
    assert get(door, "/v1/key", **root).ok()["scopes"] == sorted(SCOPES)
    get(door, "/v1/key").problem(401)
    assert get(open_door, "/v1/key").ok()["who"] == "this machine"
    get(open_door, "/v1/key", Host="evil.example").problem(400)


def test_a_key_ends_when_it_is_revoked_rotated_or_expired(
    keyed: tuple[Door, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    door, root = keyed
    body = {"name": "till", "scopes": ["read"], "days": 2}
    first = send(door, "POST", "/v1/keys", body, **root).json()
    old = {"X-API-Key": first["key"]}
    assert get(door, "/v1/runs", **old).status == 200
    rotated = send(door, "POST", f"/v1/keys/{first['about']['prefix']}/rotate", **root)
    new = {"X-API-Key": rotated.json()["key"]}
    assert rotated.json()["about"]["scopes"] == ["read"]
    assert get(door, "/v1/runs", **old).status == get(door, "/v1/runs", **new).status == 200
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=25)
    with monkeypatch.context() as patched:
        patched.setattr("shelfwise.store.keys.now", lambda: later)
        get(door, "/v1/runs", **old).problem(401)
        assert get(door, "/v1/runs", **new).status == 200
    prefix = rotated.json()["about"]["prefix"]
    assert send(door, "DELETE", f"/v1/keys/{prefix}", **root).ok()["works"] is False
    get(door, "/v1/runs", **new).problem(401)
    send(door, "POST", f"/v1/keys/{prefix}/rotate", **root).problem(422)
    listed = get(door, "/v1/keys", **root).body.decode()
    assert first["key"].split("_", 2)[2] not in listed
    assert len(json.loads(listed)["data"]) == 2


def test_a_wrong_secret_does_not_open(keyed: tuple[Door, dict[str, str]]) -> None:
    door, root = keyed
    body = {"name": "x", "scopes": ["admin"]}
    text = send(door, "POST", "/v1/keys", body, **root).json()["key"]
    for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), text[:-1], text + "x",
                  f"swk_00000000_{text[-43:]}", text.upper()):  # fmt: skip
        get(door, "/v1/runs", **{"X-API-Key": wrong}).problem(401)


def test_on_this_machine_no_key_is_needed_but_a_wrong_one_is_refused(open_door: Door) -> None:
    assert get(open_door, "/v1/runs").status == 200
    get(open_door, "/v1/runs", **{"X-API-Key": "swk_00000000_" + "x" * 43}).problem(401)
    text = send(open_door, "POST", "/v1/keys", {"name": "r", "scopes": ["read"]}).json()["key"]
    assert get(open_door, "/v1/runs", **{"X-API-Key": text}).status == 200
    post(open_door, shop(), **{"X-API-Key": text}).problem(403)


def test_a_proxy_is_served_with_a_key_of_the_store(
    tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path))
    text = send(door, "POST", "/v1/keys", {"name": "r", "scopes": ["admin"]}).json()["key"]
    behind = ClientDoor(client_of(data_dir=tmp_path, behind_proxy=True))
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    get(behind, "/v1/runs", **forwarded).problem(401)
    assert get(behind, "/v1/runs", **forwarded, **{"X-API-Key": text}).status == 200


def test_changes_are_written_down_and_stay(app: Flask, keyed: tuple[Door, dict[str, str]]) -> None:
    door, root = keyed
    run = post(door, shop(), "?save=1", **root).ok()["run_id"]
    send(door, "POST", "/v1/models", {"name": "shop", "run": run}, **root)
    send(door, "PUT", "/v1/models/shop/aliases/next", {"version": 1}, **root)
    send(door, "PATCH", f"/v1/runs/{run}", {"pinned": False}, **root)
    made = send(door, "POST", "/v1/keys", {"name": "n", "scopes": ["admin"]}, **root).json()
    own = {"X-API-Key": made["key"]}
    send(door, "DELETE", f"/v1/runs/{run}", **own)
    prefix = made["about"]["prefix"]
    log = get(door, "/v1/audit?limit=100", **root).ok()["data"]
    assert [(entry["action"], entry["target"]) for entry in reversed(log)] == [
        ("run.save", run), ("model.add", "shop@1"), ("model.alias", "shop@next"),
        ("run.unpin", run), ("key.create", prefix), ("run.delete", run),
    ]  # fmt: skip
    assert log[0]["who"] == f"key {prefix}"
    assert log[1]["who"] == "SHELFWISE_API_KEY"
    assert made["key"] not in json.dumps(log)
    pages, after = [], ""
    while after is not None:
        page = get(door, f"/v1/audit?limit=4{after and f'&after={after}'}", **root).ok()
        pages, after = pages + page["data"], page["next"]
    assert pages == log
    database = store(app).database
    for change in ("UPDATE audit_log SET who = 'nobody'", "DELETE FROM audit_log"):
        with pytest.raises(sa.exc.DBAPIError, match="only grows"), database.write() as connection:
            connection.execute(sa.text(change))


def test_the_rate_of_requests_is_limited_for_each_key(
    tmp_path: Path, client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shelfwise.service import access

    monkeypatch.setattr(access, "_windows", {})
    monkeypatch.setattr(access.time, "time", lambda: 1_000_020.0)
    door = ClientDoor(client_of(data_dir=tmp_path, rate_limit=3))
    answers = [get(door, "/v1/runs") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [a.headers["ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0"]
    assert answers[3].headers["retry-after"] == "60"
    assert get(door, "/livez").status == 200
    monkeypatch.setattr(access.time, "time", lambda: 1_000_080.0)
    assert get(door, "/v1/runs").status == 200


def test_a_server_for_others_needs_a_key_of_some_kind(tmp_path: Path) -> None:
    app = create_app(load_settings({}, data_dir=tmp_path), key_needed=True)
    get(ClientDoor(app.test_client()), "/v1/runs").problem(401)
    assert app.test_client().post(PATH, json=[]).status_code == 401


def test_drift_needs_the_metrics_of_the_model(open_door: Door) -> None:
    rows = [row | {"unit_cost": 1.0} for row in shop()]
    post(open_door, rows, "?save=1&profile=margin").ok()
    send(open_door, "POST", "/v1/models", {"name": "margin", "run": "latest"})
    post(open_door, shop(), "?save=1").ok()
    found = get(open_door, "/v1/models/margin/drift").problem(422)
    assert "gross_margin" in found["detail"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("cut_high", 1e308), ("withheld", [1]), ("centers", {"High": [None, 1, 1]}),
     ("withheld", [[]])],
)  # fmt: skip
def test_parameters_that_no_fit_gives_are_refused(open_door: Door, key: str, value: Any) -> None:
    changed = shelfwise.analyze(shop()).model.parameters | {key: value}
    send(open_door, "POST", "/v1/models", {"name": "odd", "parameters": changed}).problem(422)
