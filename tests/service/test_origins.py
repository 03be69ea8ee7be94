"""CORS: pages of named origins may call and read; nobody else's, and none by default."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from doors import PATH, Answer, ClientDoor, Door, catalogue, serving
from shelfwise.errors import SettingError
from shelfwise.settings import load_settings

KEY = "k" * 8 + "-0123456789-abcdef"
PAGE, OTHER = "https://shop.example", "http://localhost:5173"
ONE = catalogue({})
EXPOSED = {"ETag", "Location", "Link", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining",
           "RateLimit-Reset", "X-Request-ID"}  # fmt: skip
FOREIGN = ["https://evil.example", "http://shop.example", "https://shop.example:8443", "null",
           "https://shop.example.evil.example", "https://SHOP.example", "", "*"]  # fmt: skip


@pytest.fixture(params=["client", "live"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> Iterator[Door]:
    """A door that needs a key, where two origins are named."""
    if request.param == "client":
        given = {"cors_origins": (PAGE, OTHER), "api_key": KEY, "rate_limit": 1_000}
        yield ClientDoor(client_of(data_dir=tmp_path, **given))
        return
    variables = {"SHELFWISE_CORS_ORIGINS": f"{PAGE}, {OTHER}", "SHELFWISE_API_KEY": KEY}
    with serving(tmp_path, **variables, SHELFWISE_RATE_LIMIT="1000") as door:
        yield door


def cors(answer: Answer) -> dict[str, str]:
    return {name: v for name, v in answer.headers.items() if name.startswith("access-control")}


def listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def test_a_browser_is_told_what_a_page_of_a_named_origin_may_send(opened: Door) -> None:
    for origin in (PAGE, OTHER):
        for path, methods in (
            (PATH, {"OPTIONS", "POST"}),
            ("/v1/runs", {"GET", "HEAD", "OPTIONS", "POST"}),
            ("/v1/runs/latest", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}),
        ):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "content-type,authorization"}  # fmt: skip
            answer = opened(path=path, method="OPTIONS", headers=asked)
            assert (answer.status, answer.body) == (204, b"")
            told = cors(answer)
            assert told["access-control-allow-origin"] == origin
            assert listed(told["access-control-allow-methods"]) == methods
            sent = {"Content-Type", "Authorization", "X-API-Key", "Idempotency-Key",
                    "If-None-Match", "Prefer"}  # fmt: skip
            assert sent <= listed(told["access-control-allow-headers"])
            assert told["access-control-max-age"] == "600"
            assert "access-control-allow-credentials" not in told
            assert "Origin" in listed(answer.headers["vary"])


def test_a_page_of_a_named_origin_reads_answers_and_problems(opened: Door) -> None:
    page = {"Origin": PAGE, "X-API-Key": KEY}
    for answer, status in (
        (opened(ONE, headers=page), 200),
        (opened(path="/v1/runs", method="GET", headers=page), 200),
        (opened(b"[", headers=page), 400),
        (opened(path="/nope", method="GET", headers=page), 404),
        (opened(ONE, headers={"Origin": PAGE}), 401),
    ):
        assert answer.status == status
        told = cors(answer)
        assert told.keys() == {"access-control-allow-origin", "access-control-expose-headers"}
        assert told["access-control-allow-origin"] == PAGE
        assert listed(told["access-control-expose-headers"]) >= EXPOSED
        assert "Origin" in listed(answer.headers["vary"])


@pytest.mark.parametrize("origin", FOREIGN)
def test_other_origins_get_no_permission_where_some_do(opened: Door, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = opened(method="OPTIONS", headers=asked)
    preflight.problem(401)
    answer = opened(ONE, headers={"Origin": origin, "X-API-Key": KEY})
    for one in (preflight, answer):
        assert cors(one) == {}
        assert "Origin" in listed(one.headers["vary"])  # A cache must not mix the two up.


def test_without_the_setting_no_header_says_anything_of_origins(door: Door) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    for answer in (
        door(method="OPTIONS", headers=asked),
        door(path="/livez", method="GET", headers={"Origin": PAGE}),
    ):
        assert cors(answer) == {}
        assert "vary" not in answer.headers
    door(ONE, headers={"Origin": PAGE}).problem(403)


def test_without_a_key_a_named_origin_may_call_and_no_other(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    door = ClientDoor(client_of(data_dir=tmp_path, cors_origins=(PAGE,)))
    site = {"Sec-Fetch-Site": "cross-site"}
    assert cors(ok := door(ONE, headers={"Origin": PAGE} | site))
    assert ok.status == 200
    refused = door(ONE, headers={"Origin": OTHER} | site)
    refused.problem(403)
    assert cors(refused) == {}


@pytest.mark.parametrize(
    "text",
    ["*", "null", "shop.example", "https://", "https://shop.example/", "https://shop.example/a",
     "https://*.shop.example", "https://Shop.example", "https://shop.example:443", "ftp://a",
     "http://shop.example:80", "https://a@shop.example", "https://shop.example https://b.example",
     f"{PAGE},*"],
)  # fmt: skip
def test_a_value_that_is_no_origin_stops_the_start(text: str) -> None:
    with pytest.raises(SettingError, match=r"SHELFWISE_CORS_ORIGINS.*no origin as browsers"):
        load_settings({"SHELFWISE_CORS_ORIGINS": text})


def test_origins_are_read_and_handed_on_as_they_are() -> None:
    text = f"{PAGE}, {OTHER},http://[::1]:8000"
    settings = load_settings({"SHELFWISE_CORS_ORIGINS": text})
    assert settings.cors_origins == (PAGE, OTHER, "http://[::1]:8000")
    assert load_settings(settings.environment()).cors_origins == settings.cors_origins
