"""What the service tells of itself: logs and numbers, without anybody's data in them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from test_v1_runs import get, post

from doors import PATH, ClientDoor, LiveDoor, environment, serving
from kinds import shop


def test_requests_are_counted_by_route(client_of: Callable[..., FlaskClient]) -> None:
    door = ClientDoor(client_of())
    post(door, shop(7)).ok()
    post(door, []).problem(422)
    get(door, "/v1/runs/abc").problem(404)
    get(door, "/nothing/here").problem(404)
    answer = get(door, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    assert 'shelfwise_requests_total{method="POST",route="/product-analysis",status="200"} 1.0' in (
        lines
    )
    assert 'shelfwise_requests_total{method="GET",route="/v1/runs/{run_id}",status="404"} 1.0' in (
        lines
    )
    assert 'shelfwise_requests_total{method="GET",route="unknown",status="404"} 1.0' in lines
    assert "shelfwise_products_scored_total 7.0" in lines
    assert 'shelfwise_request_seconds_count{route="/product-analysis"} 2.0' in lines
    assert "nothing" not in answer.body.decode()


@pytest.fixture
def logged(tmp_path: Path) -> tuple[str, list[dict[str, object]]]:
    """What a real server wrote as JSON, after requests with secrets in them."""
    key = "sesame-sesame-sesame"
    with serving(tmp_path, SHELFWISE_LOG="json", SHELFWISE_API_KEY=key) as door:
        assert isinstance(door, LiveDoor)
        rows = [row | {"name": "Hush-hush lamp"} for row in shop(3)]
        post(door, rows, "?label=Quiet&save=1", Authorization=f"Bearer {key}").ok()
        get(door, "/v1/runs/latest/products.json?search=whisper", Authorization=f"Bearer {key}")
        get(door, "/v1/runs", Authorization="Bearer wrong-wrong-wrong").problem(401)
    said = (tmp_path / "stderr.txt").read_text()
    return said, [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def test_each_request_is_a_line_of_json(logged: tuple[str, list[dict[str, object]]]) -> None:
    said, lines = logged
    told = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in told] == [
        (PATH, 200), ("/v1/runs/{run_id}/products.{format}", 200), ("/v1/runs", 401)
    ]  # fmt: skip
    assert told[0]["who"] == "SHELFWISE_API_KEY"
    assert told[2]["who"] is None
    assert all(len(str(line["request_id"])) == 16 and line["timestamp"] for line in told)
    for secret in ("Hush", "Quiet", "whisper", "sesame", "wrong-wrong"):
        assert secret not in said


def test_text_logs_say_only_what_goes_wrong(tmp_path: Path) -> None:
    with serving(tmp_path) as door:
        post(door, shop(3)).ok()
    assert "request" not in (tmp_path / "stderr.txt").read_text()


def test_an_unknown_way_to_log_stops_the_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shelfwise.cli", "serve", "--port", "0"],
        env=environment(tmp_path, SHELFWISE_LOG="loud"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert "must be text or json" in done.stderr
