"""Receivers on loopback: a mail server with TLS, and a server of webhooks; both note what came."""

import asyncio
import contextlib
import email
import email.policy
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

USER, PASSWORD = "shop", "s3cret/with@signs"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Trust:
    """An authority of the tests' own, and a certificate for this machine."""

    def __init__(self, folder: Path) -> None:
        trustme = pytest.importorskip("trustme")
        authority = trustme.CA()
        self.file = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.context)


@dataclass
class Mailbox:
    """What a mail server got; it answers as `answer_rcpt` and `answer_data` say."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    seen: threading.Event = field(default_factory=threading.Event)
    answer_rcpt: Callable[[str], str] = lambda who: "250 OK"
    answer_data: Callable[[], str] = lambda: "250 OK"
    hold_seconds: float = 0.0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, who: str, _: Any) -> str:
        answer = self.answer_rcpt(who)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(who)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answer_data()
        if answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.mails.append(message)  # type: ignore[arg-type]
            self.recipients.append(list(envelope.rcpt_tos))
            self.peers.append(session.ssl)
        self.seen.set()
        if self.hold_seconds:
            await asyncio.sleep(self.hold_seconds)
        return answer


def smtp(box: Mailbox, scheme: str = "smtp", password: str = PASSWORD) -> str:
    """The setting for a mail server of the tests."""
    return f"{scheme}://{USER}:{quote(password, safe='')}@localhost:{box.port}"


@contextlib.contextmanager
def mail_server(trust: Trust, *, implicit: bool = False, tls: bool = True,
                login: bool = True, **given: Any) -> Iterator[Mailbox]:  # fmt: skip
    """A mail server: STARTTLS, or TLS from the first byte; both want a sign-in."""
    controllers = pytest.importorskip("aiosmtpd.controller")
    from aiosmtpd.smtp import AuthResult

    def authenticate(server: Any, session: Any, envelope: Any, how: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)

    box = Mailbox(port=free_port(), **given)
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": box.port}
    if login:
        options |= {"authenticator": authenticate, "auth_required": not implicit}
    if implicit:  # It does not know that its TLS is TLS.
        options |= {"ssl_context": trust.context, "auth_require_tls": False}
    elif tls:
        options |= {"tls_context": trust.context, "require_starttls": True}
    else:
        options |= {"auth_require_tls": False}
    controller = controllers.Controller(box, **options)
    controller.start()
    try:
        yield box
    finally:
        box.hold_seconds = 0
        controller.stop()


@dataclass
class Hook:
    """What a server of webhooks got: headers and bodies; it answers with `statuses` in turn."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    seen: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None


@contextlib.contextmanager
def hook_server(trust: Trust | None = None, **given: Any) -> Iterator[Hook]:
    """A server that takes webhooks, with TLS where there is trust."""
    hook = Hook(**given)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            hook.seen.set()
            if hook.hold:
                hook.hold.wait(60)
            place = min(len(hook.got), len(hook.statuses)) - 1
            with contextlib.suppress(OSError):  # Who asked may be gone.
                self.send_response(hook.statuses[place] if hook.statuses else 204)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # A client that breaks off a handshake is part of the tests.

    server = Server(("127.0.0.1", 0), Handler)
    if trust:
        server.socket = trust.context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if trust else "http"
    hook.url = f"{scheme}://localhost:{server.server_port}/hooks/T0/secret?x=1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        if hook.hold:
            hook.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
