"""Deliveries and signed addresses over HTTP: what is taken, refused, shown, and to whom."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from test_v1_jobs import send
from test_v1_runs import get

import shelfwise
from doors import ClientDoor, Door, LiveDoor, serving
from kinds import shop
from shelfwise.delivery.webhook import secret_of
from shelfwise.service import tokens
from shelfwise.settings import load_settings

ROOT = "root-0123456789-abcdef"
HOOK = "https://hooks.invalid/T0/secret"
Doors = Callable[..., Door]


@pytest.fixture
def doors(tmp_path: Path, client_of: Callable[..., FlaskClient]) -> Doors:
    """Makes a door without a worker, to a store with a run."""
    given: dict[str, Any] = {
        "data_dir": tmp_path / "kept", "delivery_folders": (str(tmp_path / "out"),),
        "sources": (str(tmp_path / "in"),), "smtp": "smtps://mail.invalid",
        "mail_from": "a@shop.example",
    }  # fmt: skip
    with shelfwise.Store(load_settings({}, **given)) as store:
        store.runs.save(shelfwise.analyze(shop(30)))
    return lambda **more: ClientDoor(client_of(**given | more))


def keyed(door: Door, key: str) -> Door:
    """The same door, with a key."""

    class Keyed(Door):
        def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
            return door.send(method, path, {"X-API-Key": key} | headers, body)

    return Keyed()


def key_of(root: Door, *scopes: str) -> dict[str, Any]:
    made: dict[str, Any] = send(root, "POST", "/v1/keys", {"name": "k", "scopes": scopes}).json()
    return made


def test_a_report_is_sent_now_and_shown(doors: Doors, tmp_path: Path) -> None:
    door = doors()
    to = [{"folder": str(tmp_path / "out"), "formats": ["xlsx"]}, {"mail": ["b@shop.example"]},
          {"webhook": HOOK}]  # fmt: skip
    made = send(door, "POST", "/v1/runs/latest/deliveries", {"to": to})
    assert made.status == 202
    folder, mail, hook = made.json()["data"]
    assert {one["state"] for one in (folder, mail, hook)} == {"waiting"}
    assert folder["target"] == {"kind": "folder", "to": [str(tmp_path / "out")],
                                "formats": ["xlsx"], "secret": None}  # fmt: skip
    assert mail["target"]["formats"] == ["pdf"]
    settings = load_settings({}, data_dir=tmp_path / "kept")
    assert hook["target"]["secret"] == secret_of(settings, None, HOOK)
    listed = get(door, "/v1/runs/latest/deliveries").ok()["data"]
    assert {one["id"] for one in listed} == {folder["id"], mail["id"], hook["id"]}
    assert get(door, f"/v1/deliveries/{hook['id']}").ok() == hook
    send(door, "POST", f"/v1/deliveries/{hook['id']}/again").problem(422)
    get(door, "/v1/deliveries/nope").problem(404)
    send(door, "POST", "/v1/runs/nope/deliveries", {"to": to}).problem(404)


def test_a_report_with_a_key_is_sent_once(doors: Doors, tmp_path: Path) -> None:
    door = doors()
    body = {"to": [{"folder": str(tmp_path / "out")}]}
    path, key = "/v1/runs/latest/deliveries", {"Idempotency_Key": "k-1"}
    first = send(door, "POST", path, body, **key).json()["data"]
    door(json.dumps(shop(5)).encode(), path="/product-analysis?save=1").ok()
    assert send(door, "POST", path, body, **key).json()["data"] == first
    other = send(door, "POST", path, body).json()["data"]
    assert other[0]["run_id"] != first[0]["run_id"]
    again = send(door, "POST", path, body).json()["data"]
    assert again[0]["id"] != other[0]["id"]


BAD_TARGETS: dict[str, Any] = {
    "file": {"webhook": "file:///etc/passwd"}, "loopback": {"webhook": "https://127.0.0.1/"},
    "metadata": {"webhook": "https://169.254.169.254/latest"},
    "mapped": {"webhook": "https://[::ffff:10.0.0.1]/"}, "plain": {"webhook": "http://a.invalid/"},
    "folder": {"folder": "/etc"}, "mail": {"mail": ["nobody"]}, "none": {},
    "both": {"folder": "/etc", "mail": ["a@b.example"]}, "other": {"ftp": "a"},
    "format": {"mail": ["a@b.example"], "formats": ["doc"]},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_a_target_that_does_not_fit_is_refused_everywhere(doors: Doors, name: str) -> None:
    door = doors()
    good = {"webhook": HOOK}
    to = [good, BAD_TARGETS[name]]
    told = send(door, "POST", "/v1/runs/latest/deliveries", {"to": to}).problem(422)
    schedule = {"name": "weekly", "cron": "monday 06:00", "deliver": to}
    refused = send(door, "POST", "/v1/schedules", schedule).problem(422)
    if name not in ("other", "format"):  # The shape itself names the place.
        assert told["errors"][0]["pointer"] == "/to/1"
        assert refused["errors"][0]["pointer"] == "/deliver/1"
    assert get(door, "/v1/runs/latest/deliveries").ok()["data"] == []
    assert get(door, "/v1/schedules").ok()["data"] == []


def test_a_schedule_says_when_it_comes_next_and_where_its_reports_go(
    doors: Doors, tmp_path: Path
) -> None:
    door = doors()
    run = {"source": {"place": str(tmp_path / "in" / "shop.csv")}}
    asked = {"name": "weekly", "cron": "Monday 06:30", "time_zone": "Europe/Berlin", "run": run,
             "deliver": [{"webhook": HOOK}], "make": ["inventory", "changes"]}  # fmt: skip
    made = send(door, "POST", "/v1/schedules", asked)
    assert made.status == 201, made.body
    found = made.json()
    assert (found["cron"], found["make"]) == ("30 6 * * 1", ["inventory", "changes"])
    assert "T06:30:00" in found["next_at"]
    assert found["next_at"].endswith(("+01:00", "+02:00"))
    assert found["deliver"][0]["to"] == [HOOK]
    assert found["deliver"][0]["secret"].startswith("whsec_")
    assert "deliver" not in found["request"]
    paused = send(door, "PATCH", "/v1/schedules/weekly", {"active": False}).ok()
    assert paused["next_at"] is None
    moved = send(door, "PATCH", "/v1/schedules/weekly",
                 {"cron": "friday 18:00", "time_zone": "America/New_York"}).ok()  # fmt: skip
    assert (moved["cron"], moved["active"]) == ("0 18 * * 5", False)
    resumed = send(door, "PATCH", "/v1/schedules/weekly", {"active": True}).ok()
    assert resumed["next_at"].endswith(("-05:00", "-04:00"))
    same = ("name", "request", "deliver", "make", "last_fired_at")
    assert [resumed[name] for name in same] == [found[name] for name in same]
    assert send(door, "PATCH", "/v1/schedules/weekly", {}).ok() == resumed
    for wrong in (
        {"when": "now"},
        {"cron": 1},
        {"cron": "0 0 30 2 *"},
        {"time_zone": "Mars/Olympus"},
    ):
        send(door, "PATCH", "/v1/schedules/weekly", wrong).problem(422)
    send(door, "PATCH", "/v1/schedules/nope", {"active": True}).problem(404)
    assert get(door, "/v1/schedules/weekly").ok()["cron"] == "0 18 * * 5"
    latest = {"name": "latest", "cron": "daily 07:00", "deliver": [{"webhook": HOOK}]}
    assert send(door, "POST", "/v1/schedules", latest).json()["make"] is None


TWICE = [{"mail": ["a@shop.example"], "formats": [one]} for one in ("pdf", "csv")]


@pytest.mark.parametrize(
    ("change", "told"),
    [({"cron": "someday 06:00"}, "no day 'someday'"), ({"cron": "monday 25:00"}, "no time 25:00"),
     ({"cron": "monday at 6"}, "no time that comes again"),
     ({"cron": "0 0 30 2 *"}, "no time that comes again"),
     ({"cron": "R R * * *"}, "no time that comes again"),
     ({"cron": "0 0 0 1 1 * 2099"}, "no time that comes again"),
     ({"time_zone": "Mars/Olympus"}, "no time zone"), ({"time_zone": "../etc"}, "no time zone"),
     ({"deliver": []}, "Neither run nor deliver"), ({"make": ["nonsense"]}, "Invalid enum"),
     ({"deliver": [], "make": ["trends"]}, "make is given without a target"),
     ({"deliver": [{"webhook": HOOK}] * 2}, "stands there before"),
     ({"deliver": TWICE}, "may have several formats")],
)  # fmt: skip
def test_a_schedule_that_does_not_fit_says_why(
    doors: Doors, change: dict[str, Any], told: str
) -> None:
    door = doors()
    asked = {"name": "weekly", "cron": "monday 06:00", "deliver": [{"webhook": HOOK}]} | change
    assert told in send(door, "POST", "/v1/schedules", asked).problem(422)["detail"]


def test_what_a_schedule_has_sent_is_told_also_when_it_has_ended(
    doors: Doors, tmp_path: Path
) -> None:
    door = doors()
    place = "/v1/schedules/weekly/deliveries"
    get(door, place).problem(404)
    asked = {"name": "weekly", "cron": "monday 06:00", "deliver": [{"webhook": HOOK}]}
    send(door, "POST", "/v1/schedules", asked)
    assert get(door, place).ok()["data"] == []
    with shelfwise.Store(load_settings({}, data_dir=tmp_path / "kept")) as store:
        store.deliveries.plan(store.runs.get().id, [{"webhook": HOOK}], schedule="weekly")
    (found,) = get(door, place).ok()["data"]
    assert (found["schedule"], found["state"]) == ("weekly", "waiting")
    assert send(door, "DELETE", "/v1/schedules/weekly").status == 204
    assert len(get(door, place).ok()["data"]) == 1


def test_trends_are_not_promised_of_a_source_of_products(doors: Doors, tmp_path: Path) -> None:
    run = {"source": {"place": str(tmp_path / "in" / "shop.csv")}}
    asked = {"name": "weekly", "cron": "monday 06:00", "run": run, "make": ["trends"],
             "deliver": [{"webhook": HOOK}]}  # fmt: skip
    assert "order lines" in send(doors(), "POST", "/v1/schedules", asked).problem(422)["detail"]


def test_only_admins_send_and_see_whole_addresses(doors: Doors) -> None:
    root = keyed(doors(api_key=ROOT), ROOT)
    reader = keyed(doors(api_key=ROOT), key_of(root, "read", "analyze")["key"])
    body = {"to": [{"webhook": HOOK}]}
    send(reader, "POST", "/v1/runs/latest/deliveries", body).problem(403)
    made = send(root, "POST", "/v1/runs/latest/deliveries", body).json()["data"][0]
    seen = get(reader, f"/v1/deliveries/{made['id']}")
    assert seen.ok()["target"] == {"kind": "webhook", "to": ["https://hooks.invalid/..."],
                                   "formats": [], "secret": None}  # fmt: skip
    assert made["target"]["to"] == [HOOK]
    schedule = {"name": "weekly", "cron": "monday 06:00", "deliver": body["to"]}
    send(root, "POST", "/v1/schedules", schedule)
    shown = [get(reader, path).body for path in ("/v1/schedules", "/v1/schedules/weekly")]
    assert all(b"secret" in one and b"whsec_" not in one and b"/T0/" not in one for one in shown)


FILE = "/v1/runs/latest/products.csv?tier=High"


def linked(door: Door, path: str = FILE, **more: Any) -> str:
    """The path of a signed address."""
    made = send(door, "POST", "/v1/links", {"path": path} | more)
    assert made.status == 200, made.body
    url = urlsplit(made.json()["url"])
    return f"{url.path}?{url.query}"


def test_an_address_opens_one_file_without_a_key(doors: Doors) -> None:
    door = doors(api_key=ROOT)
    root = keyed(door, ROOT)
    path = linked(root)
    answer = get(door, path)
    assert answer.status == 200
    assert answer.body == get(root, FILE).body
    known = {"If-None-Match": answer.headers["etag"]}
    assert door(path=path, method="GET", headers=known).status == 304
    assert answer.headers["referrer-policy"] == "no-referrer"
    token = path.partition("token=")[2]
    for other in ("/v1/runs/latest/products.csv", "/v1/runs/latest/products.csv?tier=Low",
                  "/v1/runs/latest/products.xlsx?tier=High", f"{FILE}&limit=1",
                  "/v1/runs/latest/inventory.csv?sort=action"):  # fmt: skip
        glue = "&" if "?" in other else "?"
        told = get(door, f"{other}{glue}token={token}").problem(403)
        assert "POST /v1/links makes a new one" in told["detail"]
    for other in ("/v1/runs", "/v1/runs/latest", "/v1/keys"):
        get(door, f"{other}?token={token}").problem(401)
    get(door, f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}").problem(403)
    get(door, f"{path}&token={token}").problem(403)
    get(door, f"{FILE}&token=").problem(403)
    send(door, "DELETE", path).problem(401)


def test_the_order_of_parameters_and_pages_do_not_matter(doors: Doors) -> None:
    door = doors(api_key=ROOT)
    path = linked(keyed(door, ROOT), "/v1/runs/latest/products.json?limit=10&tier=Medium")
    first = get(door, path)
    assert len(first.ok()["data"]) == 10
    following = first.headers["link"].partition(">")[0].removeprefix("<")
    assert len(get(door, following).ok()["data"]) > 0
    base, _, query = path.partition("?")
    assert get(door, f"{base}?{'&'.join(query.split('&')[::-1])}").ok() == first.json()


def test_an_address_ends_with_its_days_and_with_its_key(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = doors(api_key=ROOT)
    root = keyed(door, ROOT)
    made = key_of(root, "read")
    reader = keyed(door, made["key"])
    path = linked(reader, days=2)
    assert get(door, path).status == 200
    real = tokens.time.time
    monkeypatch.setattr(tokens.time, "time", lambda: real() + 2 * 86_400 + 5)
    assert "expired" in get(door, path).problem(403)["detail"]
    monkeypatch.undo()
    send(root, "DELETE", f"/v1/keys/{made['about']['prefix']}")
    assert "works no more" in get(door, path).problem(403)["detail"]
    settings_link = linked(root)
    assert get(doors(api_key=ROOT), settings_link).status == 200
    get(doors(api_key="another-0123456789"), settings_link).problem(403)


def test_an_address_of_a_key_that_expires_ends_with_it(doors: Doors) -> None:
    root = keyed(doors(api_key=ROOT), ROOT)
    made = send(root, "POST", "/v1/keys", {"name": "k", "scopes": ["read"], "days": 1}).json()
    reader = keyed(doors(api_key=ROOT), made["key"])
    link = send(reader, "POST", "/v1/links", {"path": FILE, "days": 300}).json()
    assert link["expires_at"][:19] == made["about"]["expires_at"][:19]


def test_an_address_that_was_made_without_keys_ends_when_keys_are_needed(doors: Doors) -> None:
    path = linked(doors())
    assert get(doors(), path).status == 200
    get(doors(api_key=ROOT), path).problem(403)


def test_requests_by_an_address_count_for_its_key(doors: Doors) -> None:
    door = doors(api_key=ROOT, rate_limit=4)
    reader = keyed(door, key_of(keyed(doors(api_key=ROOT), ROOT), "read")["key"])
    path = linked(reader)
    left = [get(door, path).headers["ratelimit-remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    get(door, path).problem(429)
    get(reader, "/v1/runs").problem(429)


@pytest.mark.parametrize(
    "path",
    ["/v1/runs", "/v1/runs/latest", "/v1/keys", "/metrics", "/nope", "//evil.example/v1/runs",
     "/v1/runs/latest/products.csv?tier=high", "/v1/runs/latest/products.csv?colour=red",
     "/v1/runs/latest/products.csv?token=a", "/v1/runs/latest/products.csv#a",
     "https://evil.example/v1/runs/latest/products.csv", "/v1/runs/../keys", "/v1/audit"],
)  # fmt: skip
def test_a_path_that_leads_to_no_file_is_not_signed(doors: Doors, path: str) -> None:
    send(doors(), "POST", "/v1/links", {"path": path}).problem(422)
    send(doors(), "POST", "/v1/links", {"path": FILE, "days": 0}).problem(422)


def test_an_address_of_a_run_that_is_not_there_is_not_signed(doors: Doors) -> None:
    door = doors()
    run_id = get(door, "/v1/runs/latest").ok()["id"]
    linked(door, f"/v1/runs/{run_id}/products.csv")
    send(door, "POST", "/v1/links", {"path": "/v1/runs/none/products.csv"}).problem(404)


@pytest.mark.parametrize("path", ["products.parquet", "inventory.xlsx", "labels.csv",
                                  "report.html", "trends.csv?sort=-growth"])  # fmt: skip
def test_every_file_of_a_run_has_such_an_address(doors: Doors, path: str) -> None:
    door = doors(api_key=ROOT)
    found = get(door, linked(keyed(door, ROOT), f"/v1/runs/latest/{path}"))
    # What nobody has made yet is not there, with a key as without.
    assert found.status in (200, 404)
    assert found.status == get(keyed(door, ROOT), f"/v1/runs/latest/{path}").status


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "arrow", "xlsx"])
def test_an_address_gives_the_products_in_every_format(doors: Doors, kind: str) -> None:
    door = doors(api_key=ROOT)
    path = f"/v1/runs/latest/products.{kind}?tier=High"
    found = get(door, linked(keyed(door, ROOT), path))
    assert found.status == 200
    assert found.body == get(keyed(door, ROOT), path).body


def test_the_address_has_the_public_name(doors: Doors) -> None:
    made = send(doors(public_url="https://s.example/shelf"), "POST", "/v1/links", {"path": FILE})
    assert made.json()["url"].startswith("https://s.example/shelf/v1/runs/latest/products.csv?")


def test_tokens_stand_in_no_log(doors: Doors, tmp_path: Path) -> None:
    doors()
    with serving(tmp_path / "kept", SHELFWISE_LOG="json", SHELFWISE_API_KEY=ROOT) as live:
        assert isinstance(live, LiveDoor)
        root = keyed(live, ROOT)
        path = linked(root)
        assert get(live, path).status == 200
        get(live, path[:-2]).problem(403)
        # What waitress itself refuses it may log with its first line.
        assert live.send("GET", path, {"Content-Length": "x"}, b"").status == 400
    token = path.partition("token=")[2]
    said = (tmp_path / "kept" / "stderr.txt").read_text()
    assert said.count('"event": "request"') >= 3
    assert token[:20] not in said


def test_a_delivery_is_shown_with_what_became_of_it(doors: Doors, tmp_path: Path) -> None:
    door = doors()
    made = send(door, "POST", "/v1/runs/latest/deliveries", {"to": [{"webhook": HOOK}]}).json()
    one = made["data"][0]
    with shelfwise.Store(load_settings({}, data_dir=tmp_path / "kept")) as store:
        store.deliveries.begin(one["id"])
        store.deliveries.unknown(one["id"])
        assert store.deliveries.get(one["id"]).state == "unknown"
    seen = get(door, f"/v1/deliveries/{one['id']}").ok()
    assert (seen["state"], seen["due_at"]) == ("unknown", None)
    assert "nobody here knows" in seen["reason"]
    again = send(door, "POST", f"/v1/deliveries/{one['id']}/again")
    assert (again.status, again.json()["state"], again.json()["reason"]) == (202, "waiting", None)
