"""The letter itself: what a person reads in the mail, made of a real run."""

import csv
import io
from pathlib import Path

import shelfwise
from kinds import shop
from shelfwise.formats import Formats
from shelfwise.jobs.reporting import letter
from shelfwise.settings import load_settings
from shelfwise.store import Store


def test_a_letter_tells_the_finding_the_figures_and_what_is_lacking(tmp_path: Path) -> None:
    rows = shop(30)
    rows[0]["name"] = "=cmd|' /C calc'!A0"
    rows[1]["name"] = 'Lamp, \u5468 \u202e "quoted"'
    with Store(load_settings({}, data_dir=tmp_path)) as store:
        run = store.runs.save(shelfwise.analyze(rows), label="Spring\u2028Bcc: all")
        (found,) = store.deliveries.plan(
            run.id, [{"mail": ["ann@shop.example"], "formats": ["csv", "html"]}], note="No trends."
        )
        made = letter(store, run, found, Formats("en_US", "EUR"))
        assert letter(store, run, found, Formats("en_US", "EUR")) == made
    assert made.subject
    assert not made.subject.endswith(".")
    lines = made.text.splitlines()
    assert any(line.startswith("30 products") for line in lines)
    assert f"- {made.subject}." in lines
    revenue = sum(row["price"] * row["units_sold"] for row in rows)
    (told,) = (line for line in lines if line.startswith("Revenue: "))
    assert told.startswith(f"Revenue: {Formats('en_US', 'EUR').money_short(revenue)}")
    assert lines[-1] == "No trends."
    assert set(made.files) == {"csv", "html"}
    table = list(csv.DictReader(io.StringIO(made.files["csv"].decode())))
    names = {row["name"] for row in table}
    assert len(table) == 30
    assert {"'=cmd|' /C calc'!A0", rows[1]["name"]} <= names
    assert not [name for name in names if name.startswith("=")]
