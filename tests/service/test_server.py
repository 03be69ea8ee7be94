"""The server under slow clients, broken requests and signals, over real sockets."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

import shelfwise.settings
from doors import PRODUCT, LiveDoor, serving

SCRIPT = """
import json, sys, time
from pathlib import Path
from types import ModuleType

# Without what the packages import: the tests start many servers.
for name in ("shelfwise", "shelfwise.service"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(Path(sys.argv[2], *name.split(".")))]

from shelfwise.service.server import serve
from shelfwise.settings import load_settings

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"ok"
    if path == "/echo":
        body = environ["wsgi.input"].read()
    if path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
    if path == "/big":
        body = bytes(range(256)) * 80_000
    if path == "/fail":
        raise RuntimeError("secret")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body[start : start + 2**20] for start in range(0, len(body), 2**20)]

given = json.loads(sys.argv[1])
host, key_needed = given.pop("host"), given.pop("key_needed", False)
serve(app, load_settings({}, data_dir=Path(), **given), host, 0, key_needed=key_needed,
      ready=lambda url: print(url, flush=True),
      draining=lambda: print("draining", flush=True))
print("returned", flush=True)
"""
DEFAULTS = {"host": "127.0.0.1", "request_seconds": 2.0, "idle_seconds": 1.0, "threads": 2}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"


class Server:
    """A server in a process of its own."""

    def __init__(self, **given: object) -> None:
        source = Path(shelfwise.settings.__file__).parents[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(DEFAULTS | given), source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        self.address = (host.strip("[]"), int(port))

    def connect(self, data: bytes = b"", receive_bytes: int = 0) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        client = socket.socket(family)
        client.settimeout(20)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        try:
            client.connect(self.address)
            client.sendall(data)
        except OSError:
            client.close()
            raise
        return client

    def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.connect(data) as client:
            return answer(client)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end and return the exit code and what was printed."""
        out, err = self.process.communicate(timeout=20)
        assert "Traceback" not in err
        return self.process.returncode, out


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one whole answer: status, headers, body."""
    with client.makefile("rb") as file:
        status = int(file.readline().split()[1])
        lines = iter(lambda: file.readline().decode().strip(), "")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        return status, headers, file.read(int(headers.get("content-length", 0)))


def closed(client: socket.socket) -> bool:
    """Read to the end; a reset is an end too."""
    with contextlib.suppress(ConnectionError):
        while client.recv(65536):
            pass
    return True


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@contextlib.contextmanager
def running(**given: object) -> Iterator[Server]:
    server = Server(**given)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with running(max_body_bytes=100_000) as server:
        yield server


def problem(reply: tuple[int, dict[str, str], bytes], status: int) -> dict[str, object]:
    """Check that the answer is a whole problem document and return it."""
    got, headers, body = reply
    document: dict[str, object] = json.loads(body)
    assert (got, document["status"]) == (status, status)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["connection"] == "close"
    assert headers["server"] == "shelfwise"
    assert headers["x-request-id"] == document["request_id"]
    assert len(bytes.fromhex(str(document["request_id"]))) == 8
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"]
    assert (document["instance"], document["errors"], document["error_count"]) == (None, [], 0)
    assert b"Traceback" not in body
    assert len(body) < 400
    return document


REFUSED = {
    "garbage": (b"\x16\x03\x01 garbage\r\n\r\n", 400),
    "blank lines": (b"\r\n\r\n", 400),
    "lower-case method": (b"x" * 5000 + b" / HTTP/1.1\r\n\r\n", 400),
    "broken URL": (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
    "folded first header": (b"GET / HTTP/1.1\r\n " + b"x" * 5000 + b"\r\n\r\n", 400),
    "bare newline": (b"GET / HTTP/1.1\r\nA: " + b"x" * 5000 + b"\nb\r\n\r\n", 400),
    "length not a number": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "length of 5000 digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 400),
    "length and chunked": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "empty coding": (POST + b"Transfer-Encoding: ,\r\nContent-Length: 3\r\n\r\nabc", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bad chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "endless chunk line": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 30_000, 400),
    "large body": (POST + b"Content-Length: 1200000\r\n\r\n", 413),
    "large body, sent": (POST + b"Content-Length: 30000000\r\n\r\n" + b"x" * 30_000_000, 413),
    "large body, expectant": (
        POST + b"Expect: 100-continue\r\nContent-Length: 1200000\r\n\r\n",
        413,
    ),
    "large body, chunked": (
        POST
        + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n"
        + (b"x" * 65535 + b"\r\nffff\r\n") * 20,
        413,
    ),
    "large header": (b"GET / HTTP/1.1\r\nA: " + b"x" * 17_000 + b"\r\n\r\n", 431),
    "large header, endless": (b"x" * 1_000_000, 431),
    "other coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "app that fails": (b"GET /fail HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", 500),
}


@pytest.mark.parametrize(("request_bytes", "status"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_a_problem_document(shared: Server, request_bytes: bytes, status: int) -> None:
    reply = shared.ask(request_bytes)
    document = problem(reply, status)
    assert "secret" not in str(document)
    assert "xx" not in str(document)


def test_takes_what_is_right(shared: Server) -> None:
    body = b"x" * 100_000
    plain = POST + b"Content-Length: 100000\r\n\r\n" + body
    chunked = POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    waits = b"\r\n" + GET.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    status, headers, echo = shared.ask(plain)
    assert (status, echo, headers["server"]) == (200, body, "shelfwise")
    assert shared.ask(chunked)[2] == b"abc"
    assert shared.ask(waits)[2] == b"ok"
    with shared.connect(GET + GET + plain) as client:
        assert client.recv(5) == b"HTTP/"


def test_asks_for_the_body_it_will_take(shared: Server) -> None:
    with shared.connect(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n") as client:
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert answer(client)[2] == b"abc"


def test_a_large_body_without_a_key_is_not_read() -> None:
    with running(key_needed=True) as server:
        large = b"HTTP/1.1\r\nContent-Length: 20000000\r\n"
        for path in (b"/product-analysis ", b"/v1/uploads?name=x "):
            got = server.ask(b"POST " + path + large + b"\r\n")
            assert "Bearer" in str(problem(got, 401)["detail"])
            assert got[1]["www-authenticate"] == 'Bearer realm="shelfwise"'
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            chunked = b"HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3
            problem(server.ask(b"POST " + path + chunked), 401)
            for header in (b"X-API-Key: a\r\n", b"Authorization: a\r\n"):
                waits = header + b"Expect: 100-continue\r\n\r\n"
                with server.connect(b"POST " + path + large + waits) as client:
                    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        # Of what is small the application says what is wrong with it.
        small = b"HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]"
        assert server.ask(b"POST /product-analysis " + small)[0] == 200


def test_slow_clients_are_closed_after_a_total_deadline() -> None:
    with running(request_seconds=5.0, idle_seconds=3.0) as server:
        begun = POST + b"Content-Length: 1000\r\n\r\nx"
        slow = [server.connect(begun if n % 2 else GET[:20]) for n in range(60)]
        dripping = [server.connect(begun if n % 2 else GET[:20]) for n in range(200)]
        start = time.monotonic()
        ended: list[float] = []

        def drip() -> None:
            rest = dripping.copy()
            while rest:
                time.sleep(1)
                for client in rest.copy():
                    try:
                        client.sendall(b"x")
                    except ConnectionError:
                        rest.remove(client)
                        ended.append(time.monotonic() - start)

        thread = Thread(target=drip, daemon=True)
        thread.start()
        assert server.ask(GET)[0] == 200
        problem(answer(slow[0]), 408)
        assert problem(answer(dripping[1]), 408)["title"] == "Request Timeout"
        assert all(closed(client) for client in slow)
        thread.join(15)
        assert len(ended) == 200
        print(f"dripping connections closed after {min(ended):.1f} to {max(ended):.1f} s")
        assert min(ended) > 4
        assert server.ask(GET)[0] == 200
        for client in slow + dripping:
            client.close()


ROUNDS, ASKED, MOST_SECONDS = 6, 40, 0.1


@pytest.mark.slow
def test_slow_clients_do_not_slow_a_normal_one(tmp_path: Path) -> None:
    """Each of 40 requests in a row stays under 100 ms, beside a server without slow clients.

    A machine that pauses for 100 ms says nothing of the server, so there are several rounds,
    of which one must do. Where slow clients slow a normal one, none does.
    """
    body = json.dumps([{**PRODUCT, "product_id": n} for n in range(10)]).encode()
    head = b"POST /product-analysis HTTP/1.1\r\nHost: localhost\r\n"
    begun = head + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n["
    (tmp_path / "alone").mkdir()
    with serving(tmp_path) as busy, serving(tmp_path / "alone") as alone:

        def connect(n: int) -> socket.socket:
            client = socket.create_connection(busy.address, timeout=20)
            client.sendall(begun if n % 2 else GET[:20])
            return client

        slow, dripping = [connect(n) for n in range(60)], [connect(n) for n in range(200)]
        over = Event()

        def drip() -> None:
            while not over.wait(1):
                for client in dripping:
                    client.sendall(b" ")

        thread = Thread(target=drip, daemon=True)
        thread.start()

        def seconds(door: LiveDoor) -> float:
            start = time.monotonic()
            door(body).ok()
            return time.monotonic() - start

        rounds: list[tuple[float, float]] = []
        while len(rounds) < ROUNDS and not any(one < MOST_SECONDS for one, _ in rounds):
            pairs = []
            for _ in range(ASKED):
                pairs.append((seconds(busy), seconds(alone)))
                time.sleep(0.02)
            rounds.append((max(one for one, _ in pairs), max(other for _, other in pairs)))
            # They were all there to the end of the round.
            assert not any(closed_now(client) for client in slow + dripping)
        over.set()
        thread.join()
        for client in slow + dripping:
            client.close()
    said = [f"{1e3 * one:.0f} ms ({1e3 * other:.0f} ms alone)" for one, other in rounds]
    print(f"slowest of {ASKED} requests: {', '.join(said)}")
    assert any(one < MOST_SECONDS for one, _ in rounds), said


def closed_now(client: socket.socket) -> bool:
    """Whether the server has closed or answered a connection, without waiting."""
    return bool(select.select([client], [], [], 0)[0])


def test_closes_silent_connections() -> None:
    with running() as server:
        new, kept = server.connect(), server.connect(GET)
        assert answer(kept)[0] == 200
        start = time.monotonic()
        assert closed(new)
        assert closed(kept)
        assert 0.5 < time.monotonic() - start < 5
        new.close()
        kept.close()


def test_a_client_that_reads_nothing_holds_no_worker_and_is_closed() -> None:
    with running(threads=1) as server:
        before = server.descriptors()
        lazy = [server.connect(GET.replace(b"/ ", b"/big "), 4096) for _ in range(3)]
        assert server.ask(GET)[0] == 200
        assert server.descriptors() > before
        assert until(lambda: server.descriptors() == before)
        for client in lazy:
            client.close()


def test_a_slow_reader_outlives_the_request_deadline() -> None:
    with running() as server, server.connect(GET.replace(b"/ ", b"/big "), 65536) as client:
        got = len(client.recv(1000))
        for _ in range(12):
            time.sleep(0.3)
            got += len(client.recv(1_000_000))
        while got < 20_480_000 and (part := client.recv(1_000_000)):
            got += len(part)
        assert got > 20_480_000


def test_drain_finishes_what_has_begun() -> None:
    with running(request_seconds=20.0, idle_seconds=20.0) as server:
        begun = [server.connect(GET.replace(b"/ ", b"/sleep/1 ")) for _ in range(4)]
        idle = server.connect(GET)
        assert answer(idle)[0] == 200
        big = server.connect(GET.replace(b"/ ", b"/big "), 65536)
        upload = server.connect(POST + b"Content-Length: 3\r\n\r\na")
        time.sleep(0.3)
        start = time.monotonic()
        server.stop()
        assert server.process.stdout
        assert server.process.stdout.readline() == "draining\n"
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert closed(idle)
        assert time.monotonic() - start < 5
        upload.sendall(b"bc")
        status, headers, body = answer(upload)
        assert (status, headers["connection"], body) == (200, "close", b"abc")
        time.sleep(0.5)
        assert answer(big)[2] == bytes(range(256)) * 80_000
        assert [answer(client)[2] for client in begun] == [b"ok"] * 4
        for client in (*begun, idle, big, upload):
            client.close()
        assert server.end() == (0, "returned\n")


def test_drain_answers_requests_in_the_accept_queue() -> None:
    with running() as server:
        server.stop(signal.SIGSTOP)
        clients = [server.connect(GET) for _ in range(9)]
        server.stop()
        server.stop(signal.SIGCONT)
        assert [answer(client)[0] for client in clients] == [200] * 9
        for client in clients:
            client.close()
        assert server.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(number: int) -> None:
    with running() as server:
        start = time.monotonic()
        server.stop(number)
        assert server.end() == (0, "draining\nreturned\n")
        assert time.monotonic() - start < 3


def test_drain_has_an_end() -> None:
    with running(drain_seconds=1.0) as server, server.connect(GET.replace(b"/", b"/sleep/30", 1)):
        time.sleep(0.3)
        start = time.monotonic()
        server.stop()
        assert server.end()[0] == 0
        assert 0.9 < time.monotonic() - start < 5


def test_a_second_signal_ends_at_once() -> None:
    with running() as server, server.connect(GET.replace(b"/", b"/sleep/30", 1)):
        time.sleep(0.3)
        server.stop()
        assert server.process.stdout
        assert server.process.stdout.readline() == "draining\n"
        start = time.monotonic()
        server.stop()
        assert server.end()[0] == 0
        assert time.monotonic() - start < 3


def test_leaks_no_descriptor_and_no_thread() -> None:
    with running(max_body_bytes=10_000_000) as server:
        before, threads = server.descriptors(), server.threads()
        begun = POST + b"Content-Length: 900000\r\n\r\n" + b"x" * 800_000
        kinds = [GET, GET[:9], b"\r\n\r\n", begun, GET.replace(b"/ ", b"/big ")]
        for number in range(500):
            with server.connect(kinds[number % 5]) as client:
                if number % 5 in (0, 2):
                    answer(client)
        assert until(lambda: server.descriptors() == before)
        assert server.threads() == threads


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    with running(host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.ask(GET)[0] == 200
