"""Mails: TLS or nothing, and a message is handed over at most once.

All that can fail before the message itself is handed over may be tried again. From then on
only the server's answer says what became of it; without one nobody knows.
"""

import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from shelfwise.delivery.outcome import Doubtful, NotDelivered, in_words
from shelfwise.settings import Settings
from shelfwise.store.database import now

SECONDS, ANSWER_SECONDS = 30.0, 600.0
"""How long the server is waited for, and how long once it has the message: it may look through
the files first (RFC 5321, 4.5.3.2.6), and without an answer nobody knows."""
SUBJECT_LETTERS = 150
POLICY = SMTP.clone(cte_type="7bit")
File = tuple[str, str, bytes]
"""Name, media type, content."""


def composed(
    settings: Settings,
    delivery_id: str,
    recipients: Sequence[str],
    subject: str,
    text: str,
    files: Sequence[File],
) -> bytes:
    """The message; each try of a delivery has the same Message-ID."""
    message = EmailMessage(policy=POLICY)
    message["From"] = Address("Shelfwise", addr_spec=settings.mail_from)
    message["To"] = [Address(addr_spec=one) for one in recipients]
    message["Subject"] = in_one_line(subject)
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{delivery_id}@{settings.mail_from.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # No absence note answers it.
    message.set_content(text)
    for name, media, content in files:
        kind, _, detail = media.partition("/")
        message.add_attachment(content, maintype=kind, subtype=detail, filename=name)
    return message.as_bytes()


def in_one_line(text: str) -> str:
    """A text as a header may have it: what begins a new line there begins none here.

    >>> in_one_line("Lamp\\r\\nBcc: all@shop.example")
    'Lamp Bcc: all@shop.example'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= SUBJECT_LETTERS else line[: SUBJECT_LETTERS - 1] + "…"


def send(
    settings: Settings,
    recipients: Sequence[str],
    message: bytes,
    begin: Callable[[], bool],
    *,
    last: bool,
) -> str | None:
    """Hand a message over; what is to be told of it, such as recipients that were refused.

    `begin` writes down that it is being handed over; False stops it. A recipient whom the
    server does not take just now is waited for, but on the `last` try.
    """
    with _connected(settings) as server:
        told = _addressed(server, settings, recipients, len(message), last=last)
        if not begin():
            raise Doubtful
        assert server.sock
        server.sock.settimeout(ANSWER_SECONDS)
        try:
            code, reply = server.data(message)
        except smtplib.SMTPDataError as error:  # It did not want to hear it.
            raise _refused(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Doubtful from error
        if code != 250:
            raise _refused(code, reply)
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
    return told


class _connected:
    """A connection to the mail server, signed in; closed however the block ends."""

    def __init__(self, settings: Settings) -> None:
        self._url = urlsplit(settings.smtp)
        # The machine's own name may take a name server seconds.
        self._hello = settings.mail_from.rpartition("@")[2]
        self._server: smtplib.SMTP | None = None

    def __enter__(self) -> smtplib.SMTP:
        try:
            return self._open()
        except BaseException as error:
            self.__exit__()
            if isinstance(error, ssl.SSLCertVerificationError):
                reason = f"its certificate is not trusted ({error.verify_message})"
            elif isinstance(error, smtplib.SMTPNotSupportedError):
                reason = "it offers no STARTTLS or no sign-in, and plain text is not sent"
                raise NotDelivered(f"The mail server: {reason}.", again=False) from error
            elif isinstance(error, smtplib.SMTPResponseException):
                raise _refused(error.smtp_code, error.smtp_error) from error
            elif isinstance(error, OSError | smtplib.SMTPException):
                reason = in_words(error)
            else:
                raise
            raise NotDelivered(f"The mail server: {reason}.", again=True) from error

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        host = str(self._url.hostname)
        server: smtplib.SMTP
        if self._url.scheme == "smtps":
            self._server = server = smtplib.SMTP_SSL(
                host, self._url.port or 465, self._hello, timeout=SECONDS, context=context
            )
        else:
            self._server = server = smtplib.SMTP(
                host, self._url.port or 587, self._hello, timeout=SECONDS
            )
            server.starttls(context=context)
        server.ehlo()
        if self._url.username is not None:
            server.user = unquote(self._url.username)
            server.password = unquote(self._url.password or "")
            if "PLAIN" in server.esmtp_features.get("auth", "").split():
                server.auth("PLAIN", server.auth_plain)
            else:  # It tries each way; a wrong password then counts several times.
                server.login(server.user, server.password)
        return server

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.close()


def _addressed(
    server: smtplib.SMTP, settings: Settings, recipients: Sequence[str], size: int, *, last: bool
) -> str | None:
    """Sender and recipients, up to where the message comes; what is to be told of them."""
    limit = server.esmtp_features.get("size", "")
    if limit.isdigit() and 0 < int(limit) < size:
        raise NotDelivered(
            f"The mail server takes {int(limit):,} bytes, and the mail has {size:,}: have fewer "
            "formats sent, or deliver to a folder.",
            again=False,
        )
    refused: list[tuple[str, int, bytes]] = []
    try:
        code, reply = server.mail(settings.mail_from)
        if code != 250:
            raise _refused(code, reply)
        for one in recipients:
            code, reply = server.rcpt(one)
            if code not in (250, 251):
                refused.append((one, code, reply))
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"The mail server: {in_words(error)}.", again=True) from error
    waiting = [one for one in refused if one[1] < 500]
    if len(refused) == len(recipients) or (waiting and not last):
        who, code, reply = (waiting or refused)[0]
        raise _refused(code, reply, f" for {who}")
    if refused:
        return f"The mail server did not take {', '.join(one[0] for one in refused)}."
    return None


def _refused(code: int, reply: bytes | str, whom: str = "") -> NotDelivered:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    reason = f"The mail server answered {code}{whom}: {in_one_line(text)}"
    return NotDelivered(reason if reason.endswith(".") else f"{reason}.", again=code < 500)
