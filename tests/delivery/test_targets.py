"""What a target may be: each that does not fit is refused with its place and what to do."""

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shelfwise import reports
from shelfwise.delivery import mail, webhook
from shelfwise.delivery.targets import FORMATS, Target, checked, shown
from shelfwise.errors import InputError, SettingError
from shelfwise.settings import Settings, load_settings

SMTP = {"smtp": "smtps://mail.shop.example"}


def check(target: dict[str, Any], settings: Settings) -> dict[str, Any]:
    return checked([msgspec.convert(target, Target)], settings)[0]


def test_a_good_target_is_carried_whole(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = settings_for(**SMTP)
    folder = check({"folder": str(tmp_path / "out" / "a")}, settings)
    assert folder == {"folder": str(tmp_path / "out" / "a"), "formats": ["pdf"]}
    mail = check(
        {"mail": ["a@b.example", "a@b.example"], "formats": ["csv", "pdf", "csv"]}, settings
    )
    assert mail == {"mail": ["a@b.example"], "formats": ["csv", "pdf"]}
    hook = check({"webhook": "https://hooks.invalid/a?b=1"}, settings)
    assert hook == {"webhook": "https://hooks.invalid/a?b=1"}
    assert shown(hook)["to"] == ["https://hooks.invalid/..."]
    assert shown(hook, "whsec_x")["to"] == ["https://hooks.invalid/a?b=1"]


PRIVATE = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
    "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[fe80::1]/",
    "https://[fd00::1]/", "https://[fec0::1]/", "https://10.0.0.1/", "https://172.16.3.4/",
    "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/",
    "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://255.255.255.255/",
    "https://localhost/", "https://[::7f00:1]/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_a_webhook_to_an_address_inside_is_refused(
    settings_for: Callable[..., Settings], url: str
) -> None:
    with pytest.raises(InputError, match="SHELFWISE_WEBHOOK_ALLOW"):
        check({"webhook": url}, settings_for(webhook_allow=()))


def test_the_setting_opens_hosts_addresses_and_networks(
    settings_for: Callable[..., Settings],
) -> None:
    for url, allow in (
        ("https://localhost/", "localhost"), ("http://localhost:8080/", "localhost"),
        ("https://127.0.0.1/", "127.0.0.0/8"), ("http://10.1.2.3/", "10.1.0.0/16"),
        ("https://[::1]/", "::1"), ("https://localhost/", "127.0.0.0/8,::1"),
    ):  # fmt: skip
        opened = load_settings({"SHELFWISE_WEBHOOK_ALLOW": allow})
        assert check({"webhook": url}, opened) == {"webhook": url}
        with pytest.raises(InputError):
            check({"webhook": url}, settings_for(webhook_allow=("other.example", "10.2.0.0/16")))


def test_public_addresses_are_told_from_others() -> None:
    public = ("1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8")
    for address in public:
        assert webhook.is_public(ipaddress.ip_address(address)), address


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "one of folder, mail and webhook"),
    "two": ({"folder": "/a", "webhook": "https://a.example"}, "one of folder"),
    "file": ({"webhook": "file:///etc/passwd"}, "no scheme 'file'"),
    "gopher": ({"webhook": "gopher://a.example/"}, "no scheme"),
    "no scheme": ({"webhook": "hooks.shop.example"}, "no scheme"),
    "plain": ({"webhook": "http://hooks.invalid/"}, "A webhook is https"),
    "user": ({"webhook": "https://a:b@hooks.invalid/"}, "no user"),
    "fragment": ({"webhook": "https://hooks.invalid/#a"}, "no fragment"),
    "blank": ({"webhook": "https://hooks.invalid/a b"}, "no plain host"),
    "dot": ({"webhook": "https://localhost./"}, "no plain host"),
    "no host": ({"webhook": "https:///a"}, "no plain host"),
    "port": ({"webhook": "https://a.example:99999/"}, "no address"),
    "letters": ({"webhook": "https://bücher.example/"}, "no plain host"),
    "hook formats": ({"webhook": "https://a.invalid/", "formats": ["pdf"]}, "Leave formats out"),
    "outside": ({"folder": "/etc"}, "SHELFWISE_DELIVERY_FOLDERS"),
    "dots": ({"folder": "out/../../etc"}, "SHELFWISE_DELIVERY_FOLDERS"),
    "url": ({"folder": "s3://bucket/reports"}, "path, no address"),
    "no at": ({"mail": ["shop.example"]}, "no mail address"),
    "two ats": ({"mail": ["a@b@c.example"]}, "no mail address"),
    "name": ({"mail": ["Ann <ann@shop.example>"]}, "no mail address"),
    "list": ({"mail": ["a@b.example,c@d.example"]}, "no mail address"),
    "quoted": ({"mail": ['"a b"@c.example']}, "no mail address"),
    "two dots": ({"mail": ["a..c@b.example"]}, "no mail address"),
    "first dot": ({"mail": [".a@b.example"]}, "no mail address"),
    "no label": ({"mail": ["a@b..example"]}, "no mail address"),
    "encoded": ({"mail": ["=?utf-8?q?x?=@b.example"]}, "no mail address"),
    "long": ({"mail": ["a" * 65 + "@b.example"]}, "no mail address"),
    "other domain": ({"mail": ["a@elsewhere.example"]}, "SHELFWISE_MAIL_DOMAINS"),
}


@pytest.mark.parametrize(
    "one", ["a@b.example", "o'neil+x.y_z@b.example", "A-1@b.example", "a" * 64 + "@b.example"]
)
def test_an_address_that_fits_can_be_written_to(
    settings_for: Callable[..., Settings], one: str
) -> None:
    settings = settings_for(mail_from=one, **SMTP)
    assert check({"mail": [one]}, settings) == {"mail": [one], "formats": ["pdf"]}
    assert mail.composed(settings, "1", [one], "s", "t", []).startswith(b"From: Shelfwise")


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(settings_for: Callable[..., Settings], name: str) -> None:
    target, told = BAD[name]
    settings = settings_for(mail_domains=("shop.example", "b.example"), **SMTP)
    with pytest.raises(InputError, match=told) as raised:
        check(target, settings)
    assert raised.value.problems[0].pointer == "/deliver/0"


LINES = [
    {"mail": ["a@b.example\r\nBcc: c@d.example"]}, {"mail": ["a@b.example\n"]},
    {"mail": ["\0a@b.example"]}, {"folder": "out/a\n"}, {"webhook": "https://a.invalid/\n"},
]  # fmt: skip


@pytest.mark.parametrize("target", LINES)
def test_nothing_begins_a_new_line(
    settings_for: Callable[..., Settings], target: dict[str, Any]
) -> None:
    with pytest.raises((msgspec.ValidationError, InputError)):
        check(target, settings_for(**SMTP))


def test_a_link_out_of_an_open_folder_opens_nothing(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "away").symlink_to(tmp_path)
    with pytest.raises(InputError, match="SHELFWISE_DELIVERY_FOLDERS"):
        check({"folder": str(tmp_path / "out" / "away" / "x")}, settings_for())


def test_without_a_server_no_mail_is_promised(settings_for: Callable[..., Settings]) -> None:
    with pytest.raises(InputError, match="SHELFWISE_SMTP"):
        check({"mail": ["a@b.example"]}, settings_for())
    with pytest.raises(InputError, match="SHELFWISE_MAIL_FROM"):
        check({"mail": ["a@b.example"]}, settings_for(mail_from="", **SMTP))


@pytest.mark.parametrize(
    ("name", "text"),
    [("SMTP", "http://mail.example"), ("SMTP", "smtps://"), ("SMTP", "smtps://user@mail.example"),
     ("SMTP", "smtps://mail.example:99999"), ("MAIL_FROM", "Shop <a@b.example>"),
     ("MAIL_FROM", "a@b.example\nBcc: c@d.example"), ("WEBHOOK_ALLOW", "10.0.0.0/99"),
     ("WEBHOOK_ALLOW", "https://a.example"), ("DELIVERY_WAITS", "60,soon"),
     ("PUBLIC_URL", "shop.example"), ("PUBLIC_URL", "https://shop.example/?a=1")],
)  # fmt: skip
def test_settings_that_do_not_fit_stop_the_start(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"SHELFWISE_{name}") as raised:
        load_settings({f"SHELFWISE_{name}": text})
    if name == "SMTP":
        assert "mail.example" not in str(raised.value)


def test_the_formats_are_those_of_reports_and_csv() -> None:
    assert set(reports.FORMATS) <= set(FORMATS)
