"""Who may ask: keys, proxies, hosts; and what every answer tells the browser."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from doors import PATH, ClientDoor, Door, LiveDoor, catalogue, environment, serving
from shelfwise.errors import ModelError, NotFoundError, SettingError
from shelfwise.service import create_app
from shelfwise.service.access import FORWARDING, LOOPBACK, OPEN, SCREENS
from shelfwise.service.app import HEADERS
from shelfwise.settings import SETTINGS, load_settings

KEY = "k" * 8 + "-0123456789-abcdef"
ONE = catalogue({})
PAGES = ["/livez", "/readyz", "/docs", "/openapi.json", "/static/docs.css", "/static/docs.js"]
ClientOf = Callable[..., FlaskClient]


@pytest.fixture
def guarded(client_of: ClientOf) -> Door:
    return ClientDoor(client_of(api_key=KEY))


@pytest.fixture(scope="module")
def guarded_live(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real server, reachable by all, with a key from a file and a host allow-list."""
    home = tmp_path_factory.mktemp("guarded")
    (home / "key").write_text(f"{KEY}\n", encoding="utf-8")
    variables = {
        "SHELFWISE_API_KEY_FILE": str(home / "key"),
        "SHELFWISE_HOSTS": "shop.example, localhost",
    }
    with serving(home, "--host", "0.0.0.0", **variables) as door:
        yield replace(door, url=door.url.replace("0.0.0.0", "127.0.0.1"))


WRONG_KEYS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"Authorization": ""},
    "empty bearer": {"Authorization": "Bearer "},
    "wrong": {"Authorization": f"Bearer {KEY[:-1]}x"},
    "longer": {"Authorization": f"Bearer {KEY}x"},
    "shorter": {"Authorization": f"Bearer {KEY[:-1]}"},
    "upper case": {"Authorization": f"Bearer {KEY.upper()}"},
    "basic": {"Authorization": f"Basic {KEY}"},
    "bare": {"Authorization": KEY},
    "wrong in the other header": {"X-API-Key": "x" * 20},
    "not ASCII": {"X-API-Key": "\xe9" * 20},
    "very long": {"X-API-Key": "x" * 10_000},
}


@pytest.mark.parametrize("headers", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_without_the_right_key_nothing_is_scored(guarded: Door, headers: dict[str, str]) -> None:
    answer = guarded(ONE, headers=headers)
    document = answer.problem(401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert KEY not in str(document)


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer  {KEY}"}, {"X-API-Key": KEY}],
    ids=["bearer", "lower case", "own header"],
)
def test_the_right_key_opens(guarded: Door, headers: dict[str, str]) -> None:
    assert guarded(ONE, headers=headers).ok()["status"] == "success"


def test_a_key_in_the_address_is_no_key(guarded: Door) -> None:
    guarded(ONE, path=f"{PATH}?api_key={KEY}").problem(401)


def test_without_a_key_a_client_does_not_learn_what_exists(guarded: Door) -> None:
    for path in ("/nope", "/v1/models", "/../x"):
        guarded(path=path, method="GET").problem(401)
    guarded(method="GET").problem(401)


@pytest.mark.parametrize("path", PAGES)
def test_pages_about_the_service_need_no_key(guarded: Door, path: str) -> None:
    assert guarded(path=path, method="GET", headers={"Content-Type": None}).status == 200


def test_every_route_needs_the_key_or_is_declared_open(client_of: ClientOf) -> None:
    client = client_of(api_key=KEY)
    app = client.application
    seen = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<path:filename>", "docs.css").replace("<format:", "json<")
        path = path.replace("<document:", "pdf<")
        path = path.replace("<mark>/<name>", "x/dashboard.css")
        path = (
            re.sub(r"<[a-z]*:?[a-z_]+>?", "x", path).replace("jsonx", "json").replace("pdfx", "pdf")
        )
        seen.add(rule.endpoint)
        is_page = rule.endpoint in SCREENS
        is_open = rule.endpoint in OPEN or (is_page and SCREENS[rule.endpoint] is None)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            with client.open(path, method=method) as response:
                status, to = response.status_code, response.headers.get("Location", "")
            if method == "POST" and is_page and is_open:
                assert status == 403, (method, path)  # It carries no token of a form.
            elif is_page and not is_open:
                assert (status, to[:8]) == (302, "/sign-in"), (method, path)
            else:
                assert status == (200 if is_open else 401), (method, path)
    assert seen >= OPEN | SCREENS.keys()
    assert "scoring.product_analysis" in seen - OPEN


@pytest.mark.parametrize("name", FORWARDING)
def test_a_forwarded_request_is_refused_until_a_proxy_is_declared(
    client_of: ClientOf, name: str
) -> None:
    header = {name.removeprefix("HTTP_").replace("_", "-"): "for=203.0.113.7"}
    plain = ClientDoor(client_of())
    assert "proxy" in plain(ONE, headers=header).problem(403)["detail"]
    plain(path="/openapi.json", method="GET", headers=header).problem(403)
    keyed = ClientDoor(client_of(api_key=KEY, behind_proxy=True))
    keyed(ONE, headers=header).problem(401)
    assert keyed(ONE, headers=header | {"X-API-Key": KEY}).status == 200


def test_a_real_server_refuses_what_came_through_a_proxy(live: LiveDoor) -> None:
    for header in ("Forwarded", "X-Forwarded-For", "X-Real-IP"):
        live(ONE, headers={header: "203.0.113.7"}).problem(403)


def test_a_declared_proxy_needs_a_key() -> None:
    with pytest.raises(SettingError, match="SHELFWISE_API_KEY"):
        create_app(load_settings({"SHELFWISE_BEHIND_PROXY": "true"}))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1",
             "evil.example:80", "localhost@evil.example", "[::2]", "[::1]evil.example", ""],
)  # fmt: skip
def test_without_a_key_only_loopback_names_are_served(door: Door, host: str) -> None:
    answer = door(ONE, headers={"Host": host})
    assert answer.problem(400)["type"].endswith("unknown_host")


@pytest.mark.parametrize(
    "host", [*sorted(LOOPBACK), "LOCALHOST", "localhost:8000", "127.0.0.1:80", "[::1]:8000"]
)
def test_loopback_names_are_served(door: Door, host: str) -> None:
    door(ONE, headers={"Host": host}).ok()


def test_the_allow_list_decides_which_hosts_are_served(client_of: ClientOf) -> None:
    ask = ClientDoor(client_of(hosts=("shop.example",), api_key=KEY))
    key = {"X-API-Key": KEY}
    ask(ONE, headers=key | {"Host": "Shop.example:443"}).ok()
    for host in ("localhost", "evil.example", "x.shop.example"):
        ask(ONE, headers=key | {"Host": host}).problem(400)
    any_host = ClientDoor(client_of(hosts=("*",)))
    any_host(ONE, headers={"Host": "evil.example"}).ok()


def test_a_real_server_with_key_file_and_hosts(guarded_live: LiveDoor) -> None:
    shop = {"Host": "shop.example"}
    guarded_live(ONE, headers=shop).problem(401)
    guarded_live(ONE, headers=shop | {"Authorization": f"Bearer {KEY}"}).ok()
    guarded_live(ONE, headers={"Host": "evil.example", "X-API-Key": KEY}).problem(400)
    assert guarded_live(path="/readyz", method="GET", headers=shop).status == 200


REQUESTS = [
    *(("GET", path) for path in PAGES),
    ("POST", PATH), ("GET", PATH), ("OPTIONS", PATH), ("HEAD", "/docs"), ("GET", "/nope"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_every_answer_carries_the_protecting_headers(door: Door, method: str, path: str) -> None:
    headers = door(ONE if method == "POST" else b"", path=path, method=method).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"]
    assert headers["x-request-id"]
    assert not [name for name in headers if name.startswith("access-control")]
    assert "Werkzeug" not in headers.get("server", "")
    assert "Python" not in headers.get("server", "")


def test_refusals_carry_the_protecting_headers_too(client_of: ClientOf) -> None:
    for door, headers in (
        (ClientDoor(client_of()), {"Host": "evil.example"}),
        (ClientDoor(client_of()), {"X-Forwarded-For": "1.1.1.1"}),
        (ClientDoor(client_of(api_key=KEY)), {}),
    ):
        found = door(ONE, headers=headers).headers
        assert {name.lower(): value for name, value in HEADERS.items()}.items() <= found.items()


def test_other_origins_get_no_permission(door: Door) -> None:
    answer = door(
        method="OPTIONS",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_request_ids_differ_and_are_not_the_clients(door: Door) -> None:
    ids = {door(ONE, headers={"X-Request-ID": "mine"}).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert "mine" not in ids


def test_readyz_is_503_while_the_server_drains(client_of: ClientOf) -> None:
    client = client_of()
    ask = ClientDoor(client)
    client.application.config["DRAINING"] = True
    answer = ask(path="/readyz", method="GET")
    answer.problem(503)
    assert int(answer.headers["retry-after"]) > 0
    assert ask(path="/livez", method="GET").ok()["status"] == "ok"


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {KEY}\n", encoding="utf-8")
    assert load_settings({"SHELFWISE_API_KEY_FILE": str(tmp_path / "key")}).api_key == KEY
    both = {"SHELFWISE_API_KEY_FILE": str(tmp_path / "key"), "SHELFWISE_API_KEY": "x" * 16}
    assert load_settings(both).api_key == "x" * 16
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(SettingError, match="SHELFWISE_API_KEY_FILE"):
            load_settings({"SHELFWISE_API_KEY_FILE": str(wrong)})


def test_an_empty_key_file_does_not_open_the_door(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n", encoding="utf-8")
    with pytest.raises(SettingError, match="SHELFWISE_API_KEY_FILE"):
        load_settings({"SHELFWISE_API_KEY_FILE": str(tmp_path / "key")})


def test_a_short_key_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingError, match="16 characters") as caught:
        load_settings({"SHELFWISE_API_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


WRONG_SETTINGS = {
    "SHELFWISE_MAX_ROWS": ["0", "-1", "many", "1.5"],
    "SHELFWISE_MAX_BODY_BYTES": ["0", "32 MiB"],
    "SHELFWISE_THREADS": ["none"],
    "SHELFWISE_REQUEST_SECONDS": ["0", "nan", "inf", "-1", "soon"],
    "SHELFWISE_IDLE_SECONDS": ["0"],
    "SHELFWISE_DRAIN_SECONDS": ["x"],
    "SHELFWISE_BEHIND_PROXY": ["2", "maybe"],
    "SHELFWISE_CORESET_ROWS": ["0"],
}


@pytest.mark.parametrize(
    ("variable", "value"), [(n, value) for n, values in WRONG_SETTINGS.items() for value in values]
)
def test_a_wrong_setting_stops_the_start_and_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=variable):
        load_settings({variable: value})


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(SettingError, match="SHELFWISE_MAX_ROW ") as caught:
        load_settings({"SHELFWISE_MAX_ROW": "5", "OTHER_VARIABLE": "5"})
    assert "shelfwise settings" in caught.value.hint


def test_every_setting_has_a_default_that_works() -> None:
    values = load_settings({})
    assert all(hasattr(values, setting.name) for setting in SETTINGS)
    assert load_settings({setting.variable: "" for setting in SETTINGS}) == values


def test_a_model_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        create_app(load_settings({"SHELFWISE_MODEL": str(tmp_path / "none.json")}))
    (tmp_path / "m.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError):
        create_app(load_settings({"SHELFWISE_MODEL": str(tmp_path / "m.json")}))


def start(home: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shelfwise.cli", "serve", "--port", "0", *options],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--host", "0.0.0.0"], {}, ["0.0.0.0", "SHELFWISE_API_KEY", "--no-auth"]),
        (["--host", "::"], {}, ["SHELFWISE_API_KEY"]),
        ([], {"SHELFWISE_BEHIND_PROXY": "1"}, ["SHELFWISE_API_KEY"]),
        ([], {"SHELFWISE_MAX_ROWS": "many"}, ["SHELFWISE_MAX_ROWS", "many"]),
        ([], {"SHELFWISE_MAXROWS": "5"}, ["SHELFWISE_MAXROWS"]),
        # With --no-auth it comes as far as the address, which no computer has (RFC 5737).
        (["--host", "192.0.2.1", "--no-auth"], {}, ["192.0.2.1:0", "--port"]),
    ],
    ids=["all addresses", "all of IPv6", "proxy", "wrong value", "unknown", "no address"],
)
def test_what_is_not_safe_or_not_right_does_not_start(
    tmp_path: Path, options: list[str], variables: dict[str, str], said: list[str]
) -> None:
    ended = start(tmp_path, *options, **variables)
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert [word for word in said if word not in ended.stderr] == []


def test_the_environment_of_a_started_server_is_read(live: LiveDoor) -> None:
    assert live(catalogue(*[{}] * 3_001)).problem(413)["title"] == "Too large"
