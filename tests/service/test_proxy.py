"""The service behind a real nginx, with the nginx.conf that the project has."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_v1_runs import get, post

from doors import PATH, Answer, LiveDoor, serving
from kinds import shop

PROJECT = Path(__file__).resolve().parents[2]
SETTING = "k" * 8 + "-0123456789-abcdef"
KEY = {"Authorization": f"Bearer {SETTING}"}
HOST = {"Host": "shop.example"}
DECLARED = {
    "SHELFWISE_API_KEY": SETTING,
    "SHELFWISE_BEHIND_PROXY": "true",
    "SHELFWISE_HOSTS": "shop.example",
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[LiveDoor]:
    """nginx with our file, in which port and upstream are others, until the block ends."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    port = free_port()
    ours = (PROJECT / "nginx.conf").read_text(encoding="utf-8")
    ours = ours.replace("http://web:8000", upstream).replace("listen 80;", f"listen {port};")
    ours = ours.replace("/var/log/nginx/", f"{folder}/")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""  # Or it could not write to the folder.
    (folder / "nginx.conf").write_text(
        f"daemon off;\n{user}pid {folder}/pid;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{ours}}}\n",
        encoding="utf-8",
    )
    log = folder / "nginx.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [program, "-c", folder / "nginx.conf", "-p", folder, "-e", "stderr"],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while True:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield LiveDoor(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


@dataclass(frozen=True)
class Proxied:
    """The same service through nginx, and directly."""

    proxy: LiveDoor
    direct: LiveDoor
    folder: Path


@pytest.fixture(scope="module")
def shop_behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("behind")
    limits = {"SHELFWISE_RATE_LIMIT": "500", "SHELFWISE_MAX_BODY_BYTES": str(4 * 2**20)}
    with (
        serving(folder, **DECLARED, **limits) as direct,
        nginx(folder, direct.url) as proxy,
    ):
        yield Proxied(proxy, direct, folder)


def open_request(door: LiveDoor, *lines: str) -> socket.socket:
    """A connection on which the head of a request was sent, and no body yet."""
    client = socket.create_connection(door.address, timeout=20)
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    return client


def answer_on(client: socket.socket) -> Answer:
    with client.makefile("rb") as file:
        status = int(file.readline().split()[1])
        pairs = (line.partition(": ") for line in
                 iter(lambda: file.readline().decode().strip(), ""))  # fmt: skip
        headers = {name.lower(): value for name, _, value in pairs}
        return Answer(status, headers, file.read(int(headers["content-length"])))


def test_an_analysis_through_the_proxy_is_that_of_the_service(shop_behind_nginx: Proxied) -> None:
    both = (shop_behind_nginx.proxy, shop_behind_nginx.direct)
    through, direct = (post(door, shop(50), **KEY, **HOST) for door in both)
    assert through.body == direct.body
    assert through.ok()["status"] == "success"
    assert len(through.headers["x-request-id"]) == 16
    assert through.headers["server"] == "nginx"


def test_its_log_has_paths_and_no_tokens(shop_behind_nginx: Proxied) -> None:
    proxy = shop_behind_nginx.proxy
    path = f"/v1/runs/none/products.csv?token={'9' * 10}.setting.{'A' * 43}"
    assert proxy(path=path, method="GET", headers=HOST).status == 403
    log, end = shop_behind_nginx.folder / "access.log", time.monotonic() + 20
    while '"GET /v1/runs/none/products.csv" 403' not in (said := log.read_text()):
        assert time.monotonic() < end, said
        time.sleep(0.05)
    assert "token" not in said
    assert "A" * 43 not in said


def test_bodies_larger_than_what_nginx_takes_by_itself_come_through(
    shop_behind_nginx: Proxied,
) -> None:
    many = [row | {"name": "n" * 400} for row in shop(5_000)]
    assert len(json.dumps(many)) > 2_000_000
    assert len(post(shop_behind_nginx.proxy, many, **KEY, **HOST).ok()["data"]) == 5_000
    csv = "product_id,name,price,units_sold,stock\n" + "".join(
        f"{n},{'n' * 60},2.5,3,4\n" for n in range(80_000)
    )
    assert len(csv) > 5 * 2**20  # More than is scored at once here.
    for path, status in (("/v1/uploads", 201), (PATH, 202)):
        kept = shop_behind_nginx.proxy(
            csv.encode(), path=path, headers={"Content-Type": "text/csv"} | KEY | HOST
        )
        assert kept.status == status, kept.body


@pytest.mark.parametrize(
    "key", ["X-API-Key: swk_00000000_" + "x" * 43, "Authorization: Bearer no", "Accept: */*"]
)
@pytest.mark.parametrize("path", [PATH, "/v1/uploads?name=large.csv"])
def test_the_key_is_looked_at_before_the_body_is_read(
    shop_behind_nginx: Proxied, path: str, key: str
) -> None:
    head = [f"POST {path} HTTP/1.1", "Host: shop.example", key, "Content-Type: text/csv"]
    for more in (["Content-Length: 500000000"], ["Transfer-Encoding: chunked"],
                 ["Content-Length: 500000000", "Expect: 100-continue"]):  # fmt: skip
        with open_request(shop_behind_nginx.proxy, *head, *more) as client:
            answer = answer_on(client)  # Not one byte of the body was sent.
        assert "Bearer" in answer.problem(401)["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer realm="shelfwise"'


def test_what_the_proxy_refuses_itself_is_a_problem_document(shop_behind_nginx: Proxied) -> None:
    proxy = shop_behind_nginx.proxy
    for status, lines in {
        400: [f"POST {PATH} HTTP/1.1", "Content-Length: 1"],
        404: ["GET /_key HTTP/1.1", "Host: a"],
        413: [f"POST {PATH} HTTP/1.1", "Host: a", "Content-Length: 2000000000"],
        414: [f"GET /{'x' * 20_000} HTTP/1.1", "Host: a"],
    }.items():
        with open_request(proxy, *lines) as client:
            assert answer_on(client).problem(status)["title"] == "Refused by the proxy"
    get(proxy, "/_problem", **HOST).problem(404)


def test_the_service_refuses_through_the_proxy_as_it_does_directly(
    shop_behind_nginx: Proxied,
) -> None:
    proxy = shop_behind_nginx.proxy
    assert post(proxy, shop(), **KEY, Host="b.example").problem(400)["type"].endswith("known_host")
    assert post(proxy, [], **KEY, **HOST).problem(422)["instance"] == PATH
    get(proxy, "/v1/runs", **HOST).problem(401)
    get(proxy, "/v1/nothing", **KEY, **HOST).problem(404)


def test_what_the_proxy_asks_counts_for_no_limit(tmp_path: Path) -> None:
    limited = DECLARED | {"SHELFWISE_RATE_LIMIT": "1000"}
    with serving(tmp_path, **limited) as direct, nginx(tmp_path, direct.url) as proxy:
        first, second = (
            int(post(proxy, shop(), **KEY, **HOST).headers["ratelimit-remaining"]) for _ in "ab"
        )
    assert second in (first - 1, 999)  # A new minute may begin between them.


def test_a_forwarded_request_is_refused_until_the_proxy_is_declared(tmp_path: Path) -> None:
    with serving(tmp_path) as direct, nginx(tmp_path, direct.url) as proxy:
        for path in (PATH, "/v1/runs", "/openapi.json"):
            answer = post(proxy, shop(), Host="localhost") if path == PATH else get(
                proxy, path, Host="localhost")  # fmt: skip
            assert answer.problem(403)["type"].endswith("undeclared_proxy")
        assert get(proxy, "/readyz").status == 200
        post(direct, shop()).ok()


def test_a_slow_body_waits_in_the_proxy_and_holds_nobody_up(tmp_path: Path) -> None:
    one = DECLARED | {"SHELFWISE_THREADS": "1", "SHELFWISE_REQUEST_SECONDS": "1"}
    with serving(tmp_path, **one) as direct, nginx(tmp_path, direct.url) as proxy:
        body = json.dumps(shop(300)).encode()
        head = [f"POST {PATH} HTTP/1.1", "Host: shop.example", f"X-API-Key: {SETTING}",
                "Content-Type: application/json", f"Content-Length: {len(body)}"]  # fmt: skip
        slow = [open_request(proxy, *head) for _ in range(20)]
        for part in range(6):  # Longer than the service itself would wait.
            for client in slow:
                client.sendall(body[part * len(body) // 6 : (part + 1) * len(body) // 6])
            post(proxy, shop(), **KEY, **HOST).ok()
            time.sleep(0.4)
        for client in slow:
            assert len(answer_on(client).ok()["data"]) == 300
            client.close()


def test_a_service_that_is_away_is_said(tmp_path: Path) -> None:
    with nginx(tmp_path, f"http://127.0.0.1:{free_port()}") as proxy:
        for answer, status in ((get(proxy, "/v1/runs"), 502), (post(proxy, shop()), 503)):
            assert "try again" in answer.problem(status)["detail"]
            assert answer.headers["retry-after"] == "5"
