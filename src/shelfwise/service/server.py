"""Waitress, hardened: a deadline for every wait, errors as problem documents, a drain.

Waitress reads and writes in the main thread and runs the app in workers. Here a worker
never waits for a client: what a client does not read yet is spooled, on disk if large.
"""

# waitress has no type hints: its classes are Any, and so are the bases here.
# mypy: disable-error-code="import-untyped,misc,has-type"
import json
import logging
import re
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, time
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from shelfwise.settings import Settings

HEADER_MAX = 16 * 2**10
LINGER_SECONDS = 2.0  # After the last answer, what the client still sends is read this long.
LARGE_PATHS = ("/product-analysis", "/v1/uploads")
KEYLESS_BYTES = 2**16  # So much of a body is read before its key is missed.
UPLOAD_BYTES_A_SECOND = 2**18  # A client that sends faster than this has all the time it needs.
ANSWER_FACTOR = 10  # A client may read one answer for this many times `request_seconds`.


KEYS = {"AUTHORIZATION", "X_API_KEY"}
NO_KEY = "Send a key that works, as Authorization: Bearer KEY"


NO_ROOM = (
    "There is no room on the server's disk for what was sent, and nothing of it was kept. Make "
    "room where TMPDIR points, and send it again"
)


def _error(code: int, reason: str, text: str) -> Error:
    """An answer of the server itself that waitress does not know."""
    error = Error(text)
    error.code, error.reason = code, reason
    return error


class _Parser(HTTPRequestParser):
    """Refuses what proxies may read differently, and what would keep waitress busy."""

    path = ""  # waitress logs it, even when it could not read the first line.

    def received(self, data: bytes) -> int:
        try:
            consumed: int = super().received(data)
            if self.completed and self.body_rcv and self.body_rcv.buf.overflowed:
                self.body_rcv.getfile().flush()
        except OSError:  # Where bodies are spooled to is full.
            self.error = _error(507, "Insufficient Storage", NO_ROOM)
            self.completed, consumed = True, len(data)
        if self.headers_finished and not self.error and (refused := self._refused()):
            self.error, self.completed = refused, True
        if self.empty:  # Ignored blank lines would keep an idle connection open for ever.
            self.empty, self.error = False, BadRequest("Start line is missing")
        elif self.chunked and len(self.body_rcv.control_line + self.body_rcv.trailer) > HEADER_MAX:
            # waitress searches an unfinished line again with every read.
            self.completed, self.error = True, BadRequest("Chunk header or trailer is too long")
        if self.completed:  # Or waitress asks for the body of a request that it refuses.
            self.expect_continue = False
        return consumed

    def _refused(self) -> Error | None:
        """What is wrong with a request whose body need not be read."""
        length = self.content_length or (self.body_bytes_received if self.chunked else 0)
        if self.path not in LARGE_PATHS:
            # waitress has one limit for all; only where files are sent may a body be large.
            most = self.adj.small_body_size
            return RequestEntityTooLarge(f"exceeds max_body of {most}") if length > most else None
        # Whether a key is the right one the application says, after the body.
        if self.adj.key_needed and length > KEYLESS_BYTES and KEYS.isdisjoint(self.headers):
            return _error(401, "Unauthorized", NO_KEY)
        return None

    def close(self) -> None:
        with suppress(OSError):  # What had no room was not written, and is not wanted either.
            super().close()

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # Such as http://[ or a length of 5000 digits.
            raise ParsingError("URL or Content-Length is invalid") from error
        codings = re.findall(rb"(?im)^transfer-encoding:[ \t]*(.*?)[ \t]*\r?$", header_plus)
        twice = len(codings) > 1 or b"," in b"".join(codings) or "CONTENT_LENGTH" in self.headers
        if codings and (twice or not self.chunked):
            raise ParsingError("Transfer-Encoding is invalid or contradicts Content-Length")


class _Task(WSGITask):
    def build_response_header(self) -> bytes:
        # The client's next request belongs elsewhere; one already here is still answered.
        if self.channel.server.stopping and len(self.channel.requests) == 1:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class _Problem(ErrorTask):  # An answer of the server itself.
    def execute(self) -> None:
        error, request_id = self.request.error, secrets.token_hex(8)
        problem = {"type": "about:blank", "title": error.reason, "status": error.code}
        # In waitress's texts the input comes last, in quotes; it is not repeated.
        problem |= {"detail": error.body.partition('"')[0].rstrip() + ".", "instance": None}
        problem |= {"request_id": request_id, "errors": [], "error_count": 0}
        body = json.dumps(problem).encode()
        self.status = f"{error.code} {error.reason}"
        headers = {"Content-Type": "application/problem+json", "X-Request-ID": request_id}
        if error.code == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="shelfwise"'
        self.response_headers = [*headers.items(), ("X-Content-Type-Options", "nosniff")]
        self.request.headers["CONNECTION"] = "close"
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    """One connection; `since` is when the request or the answer on it began."""

    task_class, error_task_class, parser_class = _Task, _Problem, _Parser
    since, lingering = 0.0, False

    def received(self, data: bytes) -> None:
        before = self.request
        if not self.lingering:
            super().received(data)
            if before is None or self.request is not before:
                self.since = time()

    def handle_write(self) -> None:
        if self.will_close or not self.close_when_flushed:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.connected and not self.total_outbufs_len:
            # A close with unread input resets the connection: the client loses the answer.
            self.close_when_flushed, self.lingering, self.since = False, True, time()
            self.socket.shutdown(socket.SHUT_WR)

    def sweep(self, now: float, settings: Settings, stopping: bool) -> None:
        """Close the connection, or answer 408, if it has waited for too long."""
        age, silence = now - self.since, now - max(self.since, self.last_activity)
        limit, over = settings.request_seconds, silence > settings.idle_seconds
        sent = self.request.body_bytes_received if self.request else 0
        if self.requests:  # A worker is at it.
            self.since, over = now, False
        elif self.lingering:
            over = age > LINGER_SECONDS
        elif self.total_outbufs_len or self.close_when_flushed:
            over = silence > limit or age > ANSWER_FACTOR * limit
        elif stopping and not (self.request and self.request.headers_finished):
            over = True
        elif self.request and (over or age > limit + sent / UPLOAD_BYTES_A_SECOND):
            late = "The request did not arrive in time"
            self.request.error = _error(408, "Request Timeout", late)
            _Problem(self, self.request).service()
            self.request.close()
            self.request, self.close_when_flushed, over = None, True, False
        if over:  # At once; `will_close` would wait until the client reads.
            self.handle_close()


class _Server(TcpWSGIServer):
    next_channel_cleanup = float("inf")  # `drive` sweeps, also after the listener is closed.
    channel_class, stopping, signals = _Channel, False, 0

    def on_signal(self, *_: object) -> None:
        self.signals += 1
        self.pull_trigger()

    def sweep(self, settings: Settings) -> None:
        """Close or answer the connections that have waited for too long."""
        # A name in `drive` would keep the last of them, and its spool file, after its end.
        for channel in list(self.active_channels.values()):
            channel.sweep(time(), settings, self.stopping)

    def drive(self, settings: Settings, draining: Callable[[], None]) -> None:
        """Run until a signal, then until all is answered or the time is over."""
        channels, end, next_sweep = self.active_channels, float("inf"), 0.0
        while self.signals < 2 and monotonic() < end and (channels or not self.stopping):
            wasyncore.loop(0.1 if self.stopping else 1.0, use_poll=True, map=self._map, count=1)
            if self.stopping or monotonic() >= next_sweep:
                next_sweep = monotonic() + 1.0
                self.sweep(settings)
            if self.signals and not self.stopping:
                self.stopping, end, count = True, monotonic() + settings.drain_seconds, -1
                while count < len(channels):  # Those in the listener's queue.
                    count = len(channels)
                    self.handle_accept()
                wasyncore.dispatcher.close(self)
                draining()


def serve(
    app: WSGIApplication,
    settings: Settings,
    host: str,
    port: int,
    *,
    key_needed: bool = False,
    ready: Callable[[str], None] | None = None,
    draining: Callable[[], None] | None = None,
) -> None:
    """Serve `app` in the main thread until SIGTERM or SIGINT, then drain and return.

    With `key_needed` a large body is not read where no key came with it.
    `ready` gets the base URL once the server listens; port 0 takes a free port.
    `draining` is called when the drain begins. A second signal ends the drain at once.
    """
    if sys.platform != "win32":
        import resource  # A connection has a socket and up to two spool files.

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = max(soft, min(hard, 3 * settings.max_connections + 100))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    family, shown = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**18)  # More hides slow progress.
    adjustments = Adjustments(
        ident="shelfwise",
        threads=settings.threads,
        recv_bytes=2**16,
        connection_limit=settings.max_connections + 2,  # It counts listener and trigger.
        max_request_header_size=HEADER_MAX,
        # The framing of chunks counts here; the application holds the exact limit.
        max_request_body_size=max(settings.max_body_bytes, settings.max_upload_bytes) + 2**20,
        outbuf_high_watermark=2**62,  # There a worker would wait for the client.
        clear_untrusted_proxy_headers=False,  # The application refuses undeclared proxies.
    )
    adjustments.small_body_size = settings.max_body_bytes + 2**20
    adjustments.key_needed = key_needed
    # A warning for each request that waits a moment would bury all others.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = _Server(app, {}, _sock=listener, adj=adjustments, bind_socket=False)
    before = {n: signal.signal(n, server.on_signal) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        if ready:
            ready(f"http://{shown}:{server.effective_port}")
        server.drive(settings, draining or (lambda: None))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        server.task_dispatcher.shutdown(timeout=0.5)
        wasyncore.close_all(server._map, ignore_all=True)
