"""One try of each kind: what arrives, what is tried again, what is final, what nobody knows."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from receivers import Trust, free_port, hook_server, mail_server, smtp
from shelfwise.delivery import webhook
from shelfwise.delivery.outcome import NotDelivered
from shelfwise.delivery.sending import Letter, deliver
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Delivery, Run, Store
from shelfwise.store.database import now

Kept = tuple[Store, Run]
LETTER = Letter("7 products really changed", "Seven.\n", {"pdf": b"%PDF", "csv": b"a,b\n"})
PEOPLE = ["ann@shop.example", "bob@shop.example"]


def sent(kept: Kept, settings: Settings, target: dict[str, Any], letter: Letter = LETTER,
         schedule: str | None = "monday", tries: int = 1) -> Delivery:  # fmt: skip
    """What became of a delivery after some tries."""
    store, run = kept
    (found,) = store.deliveries.plan(run.id, [target], schedule=schedule)
    for _ in range(tries):
        deliver(store, settings, found.id, lambda _run, _found: letter)
    return store.deliveries.get(found.id)


def mail(to: list[str] = PEOPLE) -> dict[str, Any]:
    return {"mail": to, "formats": ["pdf", "csv"]}


def test_a_folder_gets_whole_files_under_the_same_names(
    kept: Kept, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "deep"
    target = {"folder": str(folder), "formats": ["pdf", "csv"]}
    found = sent(kept, settings_for(), target)
    name = f"{kept[1].as_of}-{kept[1].id[:12]}-monday"
    assert (found.state, found.tries, found.reason) == ("sent", 1, None)
    assert found.sent_at is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        f"{name}.pdf": b"%PDF", f"{name}.csv": b"a,b\n"}  # fmt: skip
    # Sent is sent: asked for again it is not touched.
    (folder / f"{name}.pdf").unlink()
    sent(kept, settings_for(), target)
    assert [path.name for path in folder.iterdir()] == [f"{name}.csv"]


def test_a_folder_that_cannot_be_written_to_is_tried_again_and_then_given_up(
    kept: Kept, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    target = {"folder": str(tmp_path / "out"), "formats": ["pdf"]}
    found = sent(kept, settings_for(), target)
    assert (found.state, found.tries) == ("waiting", 1)
    assert "cannot be written to" in str(found.reason)
    found = sent(kept, settings_for(), target, tries=2)
    assert (found.state, found.tries) == ("failed", 3)
    assert "given up after 3 tries" in str(found.reason)
    (tmp_path / "out").unlink()
    assert kept[0].deliveries.again(found.id).state == "waiting"
    assert sent(kept, settings_for(), target).state == "sent"
    assert os.listdir(tmp_path / "out")


def test_a_folder_that_was_closed_since_gets_nothing(
    kept: Kept, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    target = {"folder": str(tmp_path / "out"), "formats": ["pdf"]}
    found = sent(kept, settings_for(delivery_folders=()), target)
    assert found.state == "failed"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("implicit", [False, True])
def test_a_mail_arrives_over_tls_with_its_files(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust, implicit: bool
) -> None:
    with mail_server(trusted, implicit=implicit) as box:
        scheme = "smtps" if implicit else "smtp"
        settings = settings_for(smtp=smtp(box, scheme), public_url="https://s.example")
        found = sent(kept, settings, mail())
        assert found.state == "sent", found.reason
        assert sent(kept, settings, mail()).state == "sent"  # It is not sent twice.
    (message,), (peer,) = box.mails, box.peers
    assert implicit or peer is not None  # The server knows of STARTTLS alone.
    assert box.recipients == [PEOPLE]
    assert message["Subject"] == "7 products really changed"
    assert message["Message-ID"] == f"<{found.id}@shop.example>"
    assert message["To"] == ", ".join(PEOPLE)
    assert message["From"] == "Shelfwise <shop@shop.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content().replace("\r\n", "\n")
    assert text.startswith("Seven.\n")
    assert f"https://s.example/?run={kept[1].id}" in text
    assert text.endswith("\n\nSent by the schedule monday of Shelfwise.\n")
    files = {part.get_filename(): part.get_content() for part in message.iter_attachments()}
    name = f"{kept[1].as_of}-{kept[1].id[:12]}-monday"
    assert files == {f"{name}.pdf": b"%PDF", f"{name}.csv": "a,b\n"}


HOSTILE = ["Lamp\r\nBcc: all@shop.example", "Lamp\nX-Other: 1", "Lamp\r.\r\nMAIL FROM:<a@b>",
           "=?utf-8?q?x?=", "ランプ" * 100, "\u202e\x00Lamp", "", "\u2028Bcc: a@b"]  # fmt: skip


@pytest.mark.parametrize("subject", HOSTILE)
def test_names_add_no_header_and_end_no_mail(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust, subject: str
) -> None:
    with mail_server(trusted) as box:
        text = f"{subject}\r\n.\r\nQUIT\r\n"
        found = sent(kept, settings_for(smtp=smtp(box)), mail(), replace(LETTER, subject=subject,
                                                                        text=text))  # fmt: skip
    assert found.state == "sent", found.reason
    (message,) = box.mails
    assert box.recipients == [PEOPLE]
    assert set(message.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
                                   "MIME-Version", "Content-Type"}  # fmt: skip
    body = message.get_body(("plain",))
    assert body is not None
    assert "QUIT" in body.get_content()


def test_nothing_is_sent_in_plain_text_or_to_a_server_that_is_not_trusted(
    kept: Kept, settings_for: Callable[..., Settings], trust: Trust
) -> None:
    with mail_server(trust, tls=False, login=False) as box:
        found = sent(kept, settings_for(smtp=smtp(box)), mail())
        assert (found.state, box.mails) == ("failed", [])
        assert "STARTTLS" in str(found.reason)
    for implicit in (False, True):
        with mail_server(trust, implicit=implicit) as box:
            scheme = "smtps" if implicit else "smtp"
            to = mail([f"{scheme}@shop.example"])
            found = sent(kept, settings_for(smtp=smtp(box, scheme)), to)
            assert (found.state, box.mails) == ("waiting", [])
            assert "certificate is not trusted" in str(found.reason)


def test_a_wrong_password_is_final_and_never_told(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    with mail_server(trusted) as box:
        found = sent(kept, settings_for(smtp=smtp(box, password="wr0ng-one")), mail())
    assert (found.state, box.mails) == ("failed", [])
    assert "535" in str(found.reason)
    assert "wr0ng-one" not in str(found.reason)


def test_a_server_that_is_away_is_asked_again(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    settings = settings_for(smtp=f"smtp://localhost:{free_port()}")
    found = sent(kept, settings, mail())
    assert (found.state, found.tries) == ("waiting", 1)
    assert found.reason == "The mail server: Connection refused."
    with mail_server(trusted) as box:
        assert sent(kept, settings_for(smtp=smtp(box)), mail()).state == "sent"
    assert len(box.mails) == 1


def test_recipients_that_are_refused_are_named_and_the_others_get_it(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    def rcpt(who: str) -> str:
        return "550 5.1.1 no such user" if who.startswith("bob") else "250 OK"

    with mail_server(trusted, answer_rcpt=rcpt) as box:
        found = sent(kept, settings_for(smtp=smtp(box)), mail())
        assert found.state == "sent"
        assert "bob@shop.example" in str(found.note)
        assert box.recipients == [["ann@shop.example"]]
        none = sent(kept, settings_for(smtp=smtp(box)), mail(["bob@shop.example"]))
        assert none.state == "failed"
        assert "550" in str(none.reason)


def test_each_try_waits_longer_and_then_it_is_given_up(
    kept: Kept, settings_for: Callable[..., Settings]
) -> None:
    waits = load_settings({}).delivery_waits
    settings = settings_for(smtp=f"smtp://localhost:{free_port()}", delivery_waits=waits)
    for tries, wait in enumerate(waits, start=1):
        before = now()
        found = sent(kept, settings, mail())
        assert (found.state, found.tries) == ("waiting", tries)
        assert found.due_at is not None
        assert before <= found.due_at - dt.timedelta(seconds=float(wait)) <= now()
    assert sorted(map(float, waits)) == [60, 300, 1_800, 7_200, 21_600, 43_200]
    found = sent(kept, settings, mail())
    assert (found.state, found.due_at) == ("failed", None)
    assert "given up after 7 tries" in str(found.reason)


def test_a_recipient_who_is_greylisted_is_waited_for_until_the_last_try(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    def rcpt(who: str) -> str:
        return "450 4.2.0 come again" if who.startswith("bob") else "250 OK"

    with mail_server(trusted, answer_rcpt=rcpt) as box:
        settings = settings_for(smtp=smtp(box))
        for tries in (1, 2):
            found = sent(kept, settings, mail())
            assert (found.state, found.tries, box.mails) == ("waiting", tries, [])
        found = sent(kept, settings, mail())
    assert (found.state, box.recipients) == ("sent", [["ann@shop.example"]])


@pytest.mark.parametrize(
    ("answer", "state"), [("451 4.3.0 later", "waiting"), ("554 5.7.1 spam", "failed")]
)
def test_a_mail_that_the_server_refuses_was_not_sent(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust, answer: str, state: str
) -> None:
    with mail_server(trusted, answer_data=lambda: answer) as box:
        found = sent(kept, settings_for(smtp=smtp(box)), mail())
    assert found.state == state
    assert answer.partition(" ")[2] in str(found.reason)


def test_where_the_answer_is_missing_nobody_knows_and_nothing_is_sent_again(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shelfwise.delivery.mail.ANSWER_SECONDS", 1.0)
    with mail_server(trusted, hold_seconds=30) as box:
        settings = settings_for(smtp=smtp(box))
        found = sent(kept, settings, mail())
        assert found.state == "unknown"
        assert "Ask a recipient" in str(found.reason)
        assert sent(kept, settings, mail(), tries=2).state == "unknown"
        assert len(box.mails) == 1
        box.hold_seconds = 0
        kept[0].deliveries.again(found.id)
        assert sent(kept, settings, mail()).state == "sent"
    assert [message["Message-ID"] for message in box.mails] == [f"<{found.id}@shop.example>"] * 2


def test_a_server_may_look_through_the_mail_before_it_answers(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shelfwise.delivery.mail.SECONDS", 1.0)
    with mail_server(trusted, hold_seconds=2) as box:
        assert sent(kept, settings_for(smtp=smtp(box)), mail()).state == "sent"
    assert len(box.mails) == 1


def test_a_mail_too_large_for_the_server_says_so(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    with mail_server(trusted) as box:
        large = replace(LETTER, files={"pdf": b"x" * 40_000_000})
        found = sent(kept, settings_for(smtp=smtp(box)), mail(), large)
    assert found.state == "failed"
    assert "fewer formats" in str(found.reason)


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it, after the text of the specification."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in headers["webhook-signature"].split(" ")


def test_a_webhook_arrives_signed_over_tls(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    settings = settings_for(public_url="https://s.example")
    with hook_server(trusted) as hook:
        found = sent(kept, settings, {"webhook": hook.url})
    assert (found.state, found.reason) == ("sent", None)
    ((headers, body),) = hook.got
    assert headers["host"] == hook.url.split("/")[2]
    assert headers["webhook-id"] == found.id
    assert verified(webhook.secret_of(settings, "monday", hook.url), headers, body)
    assert not verified(webhook.secret_of(settings, "friday", hook.url), headers, body)
    told = json.loads(body)
    assert told["type"] == "run.report"
    data, run = told["data"], kept[1]
    assert (data["run"]["id"], data["subject"]) == (run.id, LETTER.subject)
    assert data["summary"] == json.loads(json.dumps(run.summary))
    assert data["links"]["run"] == f"https://s.example/v1/runs/{run.id}"


@pytest.mark.parametrize(
    ("status", "state", "told"),
    [(500, "waiting", "500"), (503, "waiting", "503"), (408, "waiting", "408"),
     (429, "waiting", "429"), (400, "failed", "400"), (404, "failed", "404"),
     (410, "failed", "gone"), (302, "failed", "not followed"), (200, "sent", "None")],
)  # fmt: skip
def test_an_answer_says_whether_another_try_helps(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust, status: int, state: str,
    told: str,
) -> None:  # fmt: skip
    headers = {"Location": "http://localhost:1/", "Retry-After": "3600"}
    with hook_server(trusted, statuses=[status], headers=headers) as hook:
        found = sent(kept, settings_for(), {"webhook": hook.url})
    assert (found.state, len(hook.got)) == (state, 1)
    assert told in str(found.reason)
    assert "secret" not in str(found.reason)
    if state == "waiting":
        assert found.due_at is not None
        assert (found.due_at - found.created_at).total_seconds() > 3_000


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("3600", 3_600), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", 0), ("", 0),
     ("9" * 5_000, webhook.MOST_WAIT), ("Fri, 31 Dec 9999 23:59:59 GMT", webhook.MOST_WAIT)],
    ids=["seconds", "past", "word", "nothing", "digits", "far"],
)  # fmt: skip
def test_how_long_a_receiver_wants_to_be_left_alone(told: str, seconds: int) -> None:
    assert webhook.wait_of(told) == seconds


def test_the_day_until_which_a_receiver_wants_to_be_left_alone() -> None:
    soon = now() + dt.timedelta(minutes=30)
    assert 1_700 < webhook.wait_of(format_datetime(soon, usegmt=True)) <= 1_800


def test_a_webhook_that_is_tried_again_has_the_same_id(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust
) -> None:
    with hook_server(trusted, statuses=[500, 200]) as hook:
        found = sent(kept, settings_for(), {"webhook": hook.url}, tries=3)
    assert (found.state, found.tries) == ("sent", 2)
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1
    assert len(hook.got) == 2


def test_the_certificate_must_be_for_the_name(
    kept: Kept, settings_for: Callable[..., Settings], trust: Trust, trusted: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with hook_server(trusted) as hook:
        port = hook.url.split(":")[2].split("/")[0]
        real = webhook.socket.getaddrinfo

        def other(host: str, *given: Any, **named: Any) -> Any:
            return real("127.0.0.1" if host == "other.invalid" else host, *given, **named)

        monkeypatch.setattr(webhook.socket, "getaddrinfo", other)
        settings = settings_for(webhook_allow=("other.invalid",))
        found = sent(kept, settings, {"webhook": f"https://other.invalid:{port}/"})
    assert (found.state, hook.got) == ("waiting", [])
    assert "certificate is not trusted" in str(found.reason)


def test_the_address_that_was_looked_at_is_the_one_connected_to(
    trusted: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says another address each time leads nowhere inside."""
    asked: list[str] = []
    connected: list[str] = []
    real = webhook.socket.getaddrinfo

    def rebinding(host: str, *given: Any, **named: Any) -> Any:
        asked.append(host)
        return real("8.8.8.8" if len(asked) == 1 else "127.0.0.1", *given, **named)

    def connect(address: tuple[str, int], *_: Any) -> Any:
        connected.append(address[0])
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(webhook.socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(webhook.socket, "create_connection", connect)
    with pytest.raises(NotDelivered, match="refused"):
        webhook.post("https://rebind.example/", b"{}", "1", "whsec_MTIz", ())
    assert (asked, connected) == (["rebind.example"], ["8.8.8.8"])
    with pytest.raises(NotDelivered, match="inside") as raised:
        webhook.post("https://rebind.example/", b"{}", "1", "whsec_MTIz", ())
    assert not raised.value.again
    assert connected == ["8.8.8.8"]


def test_a_receiver_that_never_answers_is_cut_off(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.5)
    with hook_server(trusted, hold=threading.Event()) as hook:
        found = sent(kept, settings_for(), {"webhook": hook.url})
    assert found.state == "waiting"
    assert "took too long" in str(found.reason)


def test_a_receiver_may_take_longer_to_answer_than_to_connect(
    kept: Kept, settings_for: Callable[..., Settings], trusted: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(webhook, "CONNECT_SECONDS", 0.5)
    with hook_server(trusted, hold=threading.Event()) as hook:
        assert hook.hold
        threading.Timer(1.0, hook.hold.set).start()
        assert sent(kept, settings_for(), {"webhook": hook.url}).state == "sent"


def test_plain_http_works_where_the_setting_names_the_host(
    kept: Kept, settings_for: Callable[..., Settings]
) -> None:
    with hook_server() as hook:
        assert sent(kept, settings_for(), {"webhook": hook.url}).state == "sent"
        closed = {"webhook": hook.url.replace("localhost", "127.0.0.1")}
        assert sent(kept, settings_for(), closed).state == "failed"
    assert len(hook.got) == 1


def test_the_oldest_goes_first_where_many_wait(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = kept
    monkeypatch.setattr("shelfwise.store.deliveries.AT_ONCE", 2)
    planned = [store.deliveries.plan(run.id, [{"folder": f"/{n}"}])[0] for n in range(3)]
    assert store.deliveries.due() == planned[:2]
    store.deliveries.failed(planned[0].id, "The disk is full.")
    assert store.deliveries.due() == planned[1:]


def test_a_report_that_cannot_be_made_says_why(
    kept: Kept, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    from shelfwise.errors import MissingExtraError

    def broken(*_: object) -> Letter:
        raise MissingExtraError("PDF needs typst.", "pip install 'shelfwise[reports]'")

    store, run = kept
    target = {"folder": str(tmp_path / "out"), "formats": ["pdf"]}
    (found,) = store.deliveries.plan(run.id, [target])
    deliver(store, settings_for(), found.id, broken)
    found = store.deliveries.get(found.id)
    assert found.state == "failed"
    assert "typst" in str(found.reason)
