"""shelfwise schedule: what it keeps, shows and refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import shelfwise
from kinds import shop
from shelfwise import cli
from shelfwise.delivery.webhook import secret_of
from shelfwise.errors import InputError, NotFoundError
from shelfwise.jobs.queue import Jobs
from shelfwise.settings import load_settings
from shelfwise.store import Store

HOOK = "https://hooks.invalid/T0/secret"
GOOD = ("weekly", "monday 06:00", "shop.csv", "--folder", "out")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("SHELFWISE_DELIVERY_FOLDERS", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["schedule", *arguments], catch_exceptions=False)

    return invoke


def test_a_schedule_is_added_shown_paused_run_and_removed(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWISE_SMTP", "smtps://mail.invalid")
    monkeypatch.setenv("SHELFWISE_MAIL_FROM", "a@shop.example")
    assert "no schedule yet" in call("list").stderr
    people = ("--mail", "b@shop.example", "--mail", "c@shop.example")
    added = call("add", *GOOD, "--time-zone", "Europe/Berlin", *people, "--webhook", HOOK,
                 "--format", "html", "--make", "inventory", "--label", "Weekly")  # fmt: skip
    assert added.exit_code == 0, added.output
    assert "weekly comes next 20" in added.stdout
    assert secret_of(load_settings(), "weekly", HOOK) in added.stdout
    (shown,) = json.loads(call("list", "--json").stdout)
    assert (shown["cron"], shown["time_zone"]) == ("0 6 * * 1", "Europe/Berlin")
    assert (shown["make"], shown["request"]["label"]) == (["inventory"], "Weekly")
    assert shown["request"]["source"] == {"place": str(tmp_path / "shop.csv")}
    assert [(one["kind"], one["to"], one["formats"]) for one in shown["deliver"]] == [
        ("folder", [str(tmp_path / "out")], ["html"]),
        ("mail", ["b@shop.example", "c@shop.example"], ["html"]),
        ("webhook", ["https://hooks.invalid/..."], []),
    ]
    assert "T0" not in json.dumps(shown["deliver"])
    table = call("list").stdout
    assert "weekly" in table
    assert "monday 06:00" in table
    assert "is paused" in call("pause", "weekly").stdout
    assert json.loads(call("list", "--json").stdout)[0]["next_at"] is None
    assert "comes next" in call("pause", "weekly", "--off").stdout
    assert "18:00" in call("move", "weekly", "friday 18:00").stdout
    moved = json.loads(call("list", "--json").stdout)[0]
    assert (moved["cron"], moved["time_zone"]) == ("0 18 * * 5", "Europe/Berlin")
    assert moved["request"] == shown["request"]
    ran = call("run", "weekly")
    assert "is in the queue" in ran.stdout
    assert "No worker is there now" in ran.stderr
    assert "gone" in call("remove", "weekly").stdout
    with pytest.raises(NotFoundError):
        call("run", "weekly")
    with Store() as store:
        actions = [entry["action"] for entry in store.audit.newest()[0]]
    assert actions[::-1] == [f"schedule.{name}" for name in
                             ("add", "pause", "resume", "change", "trigger", "delete")]  # fmt: skip


def test_what_a_schedule_has_sent_is_shown_and_sent_again(call: Callable[..., Any]) -> None:
    with pytest.raises(NotFoundError):
        call("sent", "weekly")
    call("add", *GOOD)
    assert "nothing yet" in call("sent", "weekly").stderr
    with Store() as store:
        run = store.runs.save(shelfwise.analyze(shop(9)))
        targets = [{"folder": "/out", "formats": ["pdf"]}, {"webhook": HOOK}]
        folder, hook = store.deliveries.plan(run.id, targets, schedule="weekly")
        store.deliveries.failed(folder.id, "The disk is full.")
        store.deliveries.sent(hook.id)
    table = call("sent", "weekly").stdout
    for told in (folder.id[:12], run.id[:12], "folder /out", "The disk is full."):
        assert told in table
    by_id = {one["id"]: one for one in json.loads(call("sent", "weekly", "--json").stdout)}
    assert (by_id[folder.id]["state"], by_id[hook.id]["state"]) == ("failed", "sent")
    assert by_id[hook.id]["target"]["to"] == ["https://hooks.invalid/..."]
    assert "waits for a worker" in call("again", "weekly", folder.id[:8]).stdout
    for arguments, said in (((folder.id,), "still to be sent"), ((hook.id,), "has arrived"),
                            (("nope",), "0 deliveries")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            call("again", "weekly", *arguments)
    call("remove", "weekly")
    assert folder.id[:12] in call("sent", "weekly").stdout


def test_order_lines_and_the_latest_run_are_sources_too(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    sales = ("--sales", "--catalog", "shop.csv", "--make", "trends")
    assert call("add", "lines", "daily 07:00", "sqlite:///s.db/lines", "--folder", "out",
                *sales).exit_code == 0  # fmt: skip
    assert call("add", "latest", "weekdays 18:30", "--folder", "out").exit_code == 0
    with Store() as store:
        jobs = Jobs(store)
        latest, lines = jobs.schedules()
        jobs.close()
    assert (latest.cron, "source" in latest.request) == ("30 18 * * 1-5", False)
    assert lines.request["source"] == {"place": "sqlite:///s.db/lines"}
    assert lines.request["sales"]["catalog"] == {"place": str(tmp_path / "shop.csv")}
    assert lines.request["sales"]["by"] == "product_id"
    assert lines.request["deliver"]["schedule"] == "lines"


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "name": (("a b", *GOOD[1:]), "no name of a schedule"),
    "day": (("a", "someday 06:00", *GOOD[2:]), "no day"),
    "time": (("a", "monday 24:00", *GOOD[2:]), "no time 24:00"),
    "cron": (("a", "61 * * * *", *GOOD[2:]), "no time that comes again"),
    "zone": ((*GOOD, "--time-zone", "Mars/Olympus"), "no time zone"),
    "folder": ((*GOOD[:3], "--folder", "elsewhere"), "SHELFWISE_DELIVERY_FOLDERS"),
    "mail": ((*GOOD[:3], "--mail", "a@b.example"), "SHELFWISE_SMTP"),
    "webhook": ((*GOOD[:3], "--webhook", "https://127.0.0.1/"), "SHELFWISE_WEBHOOK_ALLOW"),
    "file": ((*GOOD[:3], "--webhook", "file:///etc/passwd"), "no scheme"),
    "format": ((*GOOD, "--format", "doc"), "no format 'doc'"),
    "formats": ((*GOOD[:3], "--webhook", HOOK, "--format", "pdf"), "no files"),
    "make": ((*GOOD, "--make", "coffee"), "cannot be made of a run"),
    "trends": ((*GOOD, "--make", "trends"), "order lines"),
    "profile": ((*GOOD, "--profile", "best"), "Invalid enum value 'best'"),
    "no source": (("a", "monday 06:00", "--sales", "--folder", "out"), "without one"),
    "nothing": (("a", "monday 06:00"), "Neither run nor deliver"),
    "nowhere": ((*GOOD[:3], "--make", "inventory"), "without a target"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_and_not_kept(call: Callable[..., Any], name: str) -> None:
    arguments, told = BAD[name]
    with pytest.raises(InputError) as raised:
        call("add", *arguments)
    assert told in str(raised.value)
    assert raised.value.problems == ()
    assert json.loads(call("list", "--json").stdout) == []


def test_a_name_is_taken_once(call: Callable[..., Any]) -> None:
    call("add", *GOOD)
    with pytest.raises(InputError, match="already"):
        call("add", *GOOD)
