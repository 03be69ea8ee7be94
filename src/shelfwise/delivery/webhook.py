"""Webhooks: JSON, signed as the Standard Webhooks specification says, to public addresses.

A name is resolved once, each address that it has is looked at, and the connection goes to
one of these very addresses: an answer that changes between the look and the connection
changes nothing. Redirects are not followed, and no body of an answer is read.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shelfwise import __version__
from shelfwise.delivery.outcome import NotDelivered, in_words
from shelfwise.errors import InputError, excerpt
from shelfwise.model import local_key
from shelfwise.settings import Settings

CONNECT_SECONDS, TOTAL_SECONDS, NAME_SECONDS = 10.0, 30.0, 5.0
MOST_WAIT = 86_400
PORTS = {"https": 443, "http": 80}
FAR_AND_NEAR = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of IPv4 as networks of IPv6 alone see them (NAT64, RFC 6052)."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def must_fit(url: str, allow: Sequence[str]) -> None:
    """InputError where a webhook may not go there; a name that nobody knows now may come."""
    parts = _parts(url, allow)
    with suppress(OSError):
        _reachable(parts, allow)


def _parts(url: str, allow: Sequence[str]) -> SplitResult:
    hint = "For example https://hooks.shop.example/shelfwise."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"This is no address: {error}.", hint) from error
    if parts.scheme not in PORTS:
        raise InputError(f"A webhook has no scheme {excerpt(parts.scheme)}.", hint)
    if (
        not host
        or host.endswith(".")
        or not parts.netloc.isascii()
        or any(not "!" <= c <= "~" for c in url)
    ):
        raise InputError("This address has no plain host, or letters that none has.", hint)
    if parts.username is not None or parts.fragment:
        raise InputError("A webhook's address has no user and no fragment.", hint)
    if parts.scheme == "http" and not _named(host, allow):
        raise InputError(
            "A webhook is https.", "SHELFWISE_WEBHOOK_ALLOW names hosts that may have http."
        )
    return parts


def _named(host: str, allow: Sequence[str]) -> bool:
    """Whether the setting opens a host: by its name, its address, or its network."""
    if host in allow:
        return True
    with suppress(ValueError):
        return _opened(ipaddress.ip_address(host), allow)
    return False


def _opened(address: Address, allow: Sequence[str]) -> bool:
    for one in allow:
        with suppress(ValueError):  # A name.
            if address in ipaddress.ip_network(one):
                return True
    return False


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, also the one within it.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("8.8.8.8", "::ffff:10.0.0.1", "127.0.0.1")]
    [True, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in FAR_AND_NEAR:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address.teredo:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _reachable(parts: SplitResult, allow: Sequence[str]) -> list[Address]:
    """The addresses of a host; InputError where one of them is inside, OSError without any."""
    host = str(parts.hostname)
    found = [ipaddress.ip_address(one.partition("%")[0]) for one in _resolved(host)]
    for one in found:
        if host not in allow and not _opened(one, allow) and not is_public(one):
            raise InputError(
                "This webhook leads to an address inside, where none may go.",
                "SHELFWISE_WEBHOOK_ALLOW names hosts and networks inside that may be reached.",
            )
    return found


def _resolved(host: str) -> list[str]:
    """The addresses of a host, within some seconds; the system's own limit may be minutes."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NAME_SECONDS)
    if not found:
        raise TimeoutError("the name server does not answer")
    if isinstance(found[0], Exception):
        raise OSError("nobody knows this name")
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def secret_of(settings: Settings, schedule: str | None, url: str) -> str:
    """The secret of a webhook: made of the local key, so that nothing needs to be kept."""
    named = f"webhook\0{schedule or ''}\0{url}".encode()
    made = hmac.new(local_key(settings), named, hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(made).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """What `webhook-signature` says of a message.

    >>> secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    >>> signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def shortened(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/..."


def post(url: str, body: bytes, message_id: str, secret: str, allow: Sequence[str]) -> None:
    """Send a message once; NotDelivered says what came instead of a success."""
    try:
        parts = _parts(url, allow)
        addresses = _reachable(parts, allow)
    except InputError as error:  # The settings, or what the name stands for, have changed.
        raise NotDelivered(str(error), again=False) from error
    except OSError as error:
        raise NotDelivered(f"{parts.hostname} cannot be found: {error}.", again=True) from error
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"shelfwise/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, message_id, timestamp, body),
    }
    connection = _Pinned(parts, addresses)
    late = threading.Timer(TOTAL_SECONDS, connection.cut)
    late.daemon = True
    late.start()
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        answer = connection.getresponse()
        status, retry_after = answer.status, answer.headers.get("Retry-After", "")
    except (OSError, http.client.HTTPException) as error:
        reason = "took too long" if connection.is_cut else _named_error(error)
        raise NotDelivered(f"{parts.hostname}: {reason}.", again=True) from error
    finally:
        late.cancel()
        connection.close()
    _must_be_success(str(parts.hostname), status, retry_after)


def _named_error(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return in_words(error)


def _must_be_success(host: str, status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        told = "it redirects, which is not followed: give the address that it redirects to"
        raise NotDelivered(f"{host} answered {status}: {told}.", again=False)
    if status == 410:
        raise NotDelivered(f"{host} answered 410: this webhook is gone.", again=False)
    again = status >= 500 or status in (408, 429)
    raise NotDelivered(f"{host} answered {status}.", again=again, least=wait_of(retry_after))


def wait_of(retry_after: str) -> float:
    """The seconds that `Retry-After` asks for, as a number or a moment (RFC 9110, 10.2.3)."""
    if re.fullmatch("[0-9]+", retry_after):
        return min(int(retry_after[:9]), MOST_WAIT)
    try:
        left = parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(left, 0.0), MOST_WAIT)


class _Pinned(http.client.HTTPConnection):
    """A connection to addresses that were looked at, under the name that they were asked by."""

    def __init__(self, parts: SplitResult, addresses: Sequence[Address]) -> None:
        self._tls = parts.scheme == "https"
        self.default_port = PORTS[parts.scheme]
        self._addresses = addresses
        self.is_cut = False
        super().__init__(str(parts.hostname), parts.port or self.default_port,
                         timeout=CONNECT_SECONDS)  # fmt: skip

    def connect(self) -> None:
        """Connect to the first address that answers."""
        for place, address in enumerate(self._addresses):
            try:
                self.sock = socket.create_connection((str(address), self.port), CONNECT_SECONDS)
                break
            except OSError:
                if place == len(self._addresses) - 1 or self.is_cut:
                    raise
        if self._tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
        # Who has taken it up may think until `cut`, which may have missed this very socket.
        self.sock.settimeout(2 * TOTAL_SECONDS)

    def cut(self) -> None:
        """End it from another thread; whoever waits for it fails at once."""
        self.is_cut = True
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)
