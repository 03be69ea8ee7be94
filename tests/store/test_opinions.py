"""What people say about products is kept, holds for its days, and the newest counts."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

import shelfwise
from kinds import shop
from shelfwise.errors import InputError, NotFoundError
from shelfwise.insights.decisions import ACTIONS
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.schema import tier_overrides

MARCH, APRIL, MAY = dt.date(2026, 3, 31), dt.date(2026, 4, 30), dt.date(2026, 5, 31)
HOSTILE = ["' OR 1=1--", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202eevil", "😀",
           "%", "{{7*7}}"]  # fmt: skip


def tiers(store: Store, day: dt.date, run_id: str = "latest") -> dict[Any, str]:
    """The products of a run that have an override on a day, and its tier."""
    marked = store.overrides.marked(store.runs.products(run_id), day).collect()
    chosen = marked.filter(pl.col("tier_override").is_not_null())
    return dict(zip(chosen["product_id"], chosen["tier_override"], strict=True))


def in_two_places() -> list[dict[str, Any]]:
    """Each product in Berlin, in Rome and at no location."""
    return [row | {"location": place} for row in shop(4) for place in ("Berlin", "Rome", None)]


def test_an_override_of_one_run_is_shown_in_the_next(store: Store) -> None:
    first = store.runs.save(shelfwise.analyze(shop()), as_of=MARCH)
    made = store.overrides.set(7, "High", "The season begins.", run_id=first.id)
    assert (made.product_id, made.first_day, made.last_day) == ("7", MARCH, None)
    second = store.runs.save(shelfwise.analyze(shop(times=3)), as_of=APRIL)
    for run in (first, second):
        assert tiers(store, run.as_of, run.id) == {7: "High"}
        computed = store.runs.products(run).collect()
        rows = store.overrides.marked(store.runs.products(run), run.as_of).collect()
        assert rows.drop("tier_override").equals(computed)


def test_opinions_survive_a_restart(settings_of: Callable[..., Settings]) -> None:
    with Store(settings_of()) as store:
        override = store.overrides.set("a", "Low", "Why", first_day=MARCH)
        decision = store.decisions.add("a", "clear", "accepted", "Why")
    with Store(settings_of()) as store:
        assert store.overrides.newest() == ([override], None)
        assert store.decisions.newest() == ([decision], None)
        assert abs((dt.datetime.now(dt.UTC) - override.created_at).total_seconds()) < 60


def test_an_override_holds_from_its_first_to_its_last_day(store: Store) -> None:
    store.overrides.set("a", "High", "Why", first_day=MARCH, last_day=APRIL)
    days = [MARCH - dt.timedelta(1), MARCH, APRIL, APRIL + dt.timedelta(1)]
    assert [len(store.overrides.on(day)) for day in days] == [0, 1, 1, 0]
    with pytest.raises(InputError, match="The last day, 2026-03-31, is before the first"):
        store.overrides.set("a", "High", "Why", first_day=APRIL, last_day=MARCH)


def test_without_days_an_override_holds_from_today(store: Store) -> None:
    made = store.overrides.set("a", "High", "Why")
    assert made.first_day == made.created_at.date()


def test_the_newest_of_those_that_hold_counts(store: Store) -> None:
    store.overrides.set("a", "High", "always", first_day=MARCH)
    store.overrides.set("a", "Low", "in April only", first_day=APRIL, last_day=APRIL)
    store.overrides.set("b", "Low", "another product", first_day=MARCH)
    found = {day: {one.product_id: one.tier for one in store.overrides.on(day)}
             for day in (MARCH, APRIL, MAY)}  # fmt: skip
    assert found == {MARCH: {"a": "High", "b": "Low"}, APRIL: {"a": "Low", "b": "Low"},
                     MAY: {"a": "High", "b": "Low"}}  # fmt: skip


def test_what_is_said_later_counts_whatever_the_clock_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["f" * 12 + "0" * 10, "f" * 12 + "0" * 10, "0" * 22])
    monkeypatch.setattr("shelfwise.store.opinions.new_id", lambda: next(ids))
    said = [store.overrides.set("a", tier, "Why", first_day=MARCH).id for tier in ("High", "Low")]
    said.append(store.overrides.set("a", "Medium", "Why", first_day=MARCH).id)
    assert said == sorted(said)
    assert [one.tier for one in store.overrides.on(MARCH)] == ["Medium"]


def test_an_override_that_is_ended_stays_on_runs_of_earlier_days(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(shop()), as_of=APRIL)
    made = store.overrides.set(3, "Low", "Why", first_day=MARCH, last_day=MAY)
    ended = store.overrides.end(made.id, run.id)
    assert ended.last_day == dt.date(2026, 4, 29)
    assert ended.ended_at is not None
    assert (tiers(store, MARCH), tiers(store, APRIL), tiers(store, MAY)) == ({3: "Low"}, {}, {})
    assert store.overrides.end(made.id) == ended
    assert store.overrides.newest() == ([ended], None)
    with pytest.raises(NotFoundError):
        store.overrides.end("nothing")


def test_an_override_that_is_ended_on_its_first_day_holds_on_none(store: Store) -> None:
    made = store.overrides.set(3, "Low", "a mistake")
    store.overrides.end(made.id)
    assert store.overrides.on(made.first_day) == []
    assert store.overrides.newest(active=True) == ([], None)


def test_an_override_that_is_over_cannot_be_ended(store: Store) -> None:
    made = store.overrides.set(3, "Low", "Why", first_day=MARCH, last_day=APRIL)
    assert store.overrides.end(made.id) == made


def test_an_override_ends_on_the_first_day_that_there_is(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(shop()), as_of=dt.date.min)
    made = store.overrides.set(3, "Low", "Why", first_day=MARCH)
    assert store.overrides.end(made.id, run.id).last_day == dt.date.min


def test_the_state_changes_with_every_change(store: Store) -> None:
    states = [store.overrides.state()]
    made = store.overrides.set("a", "High", "Why")
    states.append(store.overrides.state())
    store.overrides.end(made.id)
    states.append(store.overrides.state())
    assert states == [(0, 0), (1, 0), (1, 1)]


def test_an_override_covers_every_location_or_the_one_it_names(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(in_two_places()), as_of=MARCH)
    store.overrides.set(1, "Low", "everywhere", run_id=run.id)
    store.overrides.set(2, "High", "in Rome", location="Rome", run_id=run.id)
    store.overrides.set(3, "Medium", "in Rome", location="Rome", run_id=run.id)
    store.overrides.set(3, "Low", "everywhere, and newer", run_id=run.id)
    rows = store.overrides.marked(store.runs.products(run), MARCH).collect()
    found = {(row["product_id"], row["location"]): row["tier_override"] for row in rows.to_dicts()}
    assert {place: tier for place, tier in found.items() if tier} == {
        (1, "Berlin"): "Low", (1, "Rome"): "Low", (1, None): "Low", (2, "Rome"): "High",
        (3, "Rome"): "Medium", (3, "Berlin"): "Low", (3, None): "Low",
    }  # fmt: skip
    shown = store.overrides.of_rows(rows, MARCH)
    assert [one and one.tier for one in shown] == rows["tier_override"].to_list()


def test_a_run_without_locations_shows_what_covers_all_of_them(store: Store) -> None:
    store.runs.save(shelfwise.analyze(shop()), as_of=MARCH)
    store.overrides.set(1, "Low", "in Rome", location="Rome", first_day=MARCH)
    store.overrides.set(2, "Low", "everywhere", first_day=MARCH)
    assert tiers(store, MARCH) == {2: "Low"}


def test_a_run_that_is_named_must_have_the_product(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(in_two_places()), as_of=MARCH)
    for product_id, location in (("x", None), ("x", "Rome"), (1, "Paris"), (" 1", None)):
        with pytest.raises(InputError, match=f"Run {run.id} has no product"):
            store.overrides.set(product_id, "High", "Why", location=location, run_id="latest")
        with pytest.raises(InputError, match="has no product"):
            store.decisions.add(product_id, "clear", "accepted", "Why", location=location,
                                run_id=run.id)  # fmt: skip
    with pytest.raises(NotFoundError):
        store.overrides.set(1, "High", "Why", run_id="nothing")
    assert store.overrides.state() == (0, 0)


WRONG: dict[str, dict[str, Any]] = {
    "no product": {"product_id": ""},
    "a blank product": {"product_id": " \t"},
    "NUL in the product": {"product_id": "a\x00b"},
    "half a character": {"product_id": "a\udcff"},
    "a product of 256 letters": {"product_id": "x" * 256},
    "a huge product": {"product_id": 2**63},
    "no location": {"location": ""},
    "a newline in the location": {"location": "a\nb"},
    "no reason": {"reason": " "},
    "a reason of 501 letters": {"reason": "x" * 501},
    "a control character in the reason": {"reason": "a\x1bb"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    given = {"product_id": "a", "reason": "Why"} | wrong
    with pytest.raises(InputError):
        store.overrides.set(**given, tier="High")
    with pytest.raises(InputError):
        store.decisions.add(**given, action="clear", verdict="accepted")
    for tier in ("high", "", "Best"):
        with pytest.raises(InputError, match="It is one of High, Medium, Low"):
            store.overrides.set("a", tier, "Why")
    with pytest.raises(InputError, match="It is one of reorder, clear"):
        store.decisions.add("a", "buy", "accepted", "Why")
    with pytest.raises(InputError, match="It is one of accepted, dismissed"):
        store.decisions.add("a", "clear", "yes", "Why")
    assert store.overrides.newest() == store.decisions.newest() == ([], None)


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_that_attack_are_kept_as_they_are(store: Store, text: str) -> None:
    rows = [row | {"product_id": f"{text}{row['product_id']}", "location": text} for row in shop(3)]
    store.runs.save(shelfwise.analyze(rows), as_of=MARCH)
    made = store.overrides.set(f"{text}1", "Low", text, location=text, run_id="latest")
    assert (made.product_id, made.location, made.reason) == (f"{text}1", text, text)
    assert tiers(store, MARCH) == {f"{text}1": "Low"}
    assert store.overrides.newest(product_id=f"{text}1")[0] == [made]
    assert store.overrides.newest(product_id="%")[0] == []


def test_lists_are_read_page_by_page_newest_first(store: Store) -> None:
    made = [store.overrides.set("ab"[n % 2], "Low", f"{n}", first_day=MARCH).id for n in range(5)]
    first, more = store.overrides.newest(2)
    second, later = store.overrides.newest(2, more)
    third, end = store.overrides.newest(2, later)
    assert [one.id for one in (*first, *second, *third)] == made[::-1]
    assert end is None
    assert [one.id for one in store.overrides.newest(product_id="b")[0]] == [made[3], made[1]]
    assert [one.id for one in store.overrides.newest(active=True)[0]] == [made[4], made[3]]


def test_a_decision_is_remembered_until_its_last_day_or_a_newer_one(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(shop()), as_of=MARCH)
    store.decisions.add(7, "reorder", "dismissed", "The supplier stops it.", run_id=run.id)
    store.decisions.add(7, "clear", "accepted", "Room is needed.", run_id=run.id, last_day=APRIL)
    store.runs.save(shelfwise.analyze(shop(times=3)), as_of=APRIL)
    assert store.decisions.on(MARCH - dt.timedelta(1)) == []

    def remembered(day: dt.date) -> dict[str, str]:
        return {one.action: one.verdict for one in store.decisions.on(day)}

    assert remembered(APRIL) == {"reorder": "dismissed", "clear": "accepted"}
    assert remembered(MAY) == {"reorder": "dismissed"}
    later = store.decisions.add(7, "reorder", "accepted", "It does not.", run_id="latest")
    assert remembered(MARCH) == {"reorder": "dismissed", "clear": "accepted"}
    assert remembered(MAY) == {"reorder": "accepted"}
    assert [one.id for one in store.decisions.on(MAY, ["7"])] == [later.id]
    assert store.decisions.on(MAY, ["8"]) == []
    assert len(store.decisions.newest(product_id="7", action="reorder")[0]) == 2


def test_an_amount_counts_on_the_day_of_its_run_alone(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(shop()), as_of=MARCH)
    made = store.decisions.add(
        7, "reorder", "accepted", "The pallet is full.", run_id=run.id, amount=96
    )
    assert store.decisions.get(made.id).amount == 96
    rows = pl.LazyFrame({"product_id": ["7", "8"], "action": ["reorder", "reorder"]})
    names = ["verdict", "verdict_amount"]
    assert store.decisions.answered(rows, MARCH).select(names).collect().rows() == [
        ("accepted", 96.0), (None, None)
    ]  # fmt: skip
    # A later run proposes another number.
    assert store.decisions.answered(rows, APRIL).select(names).collect().row(0) == (
        "accepted", None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "amount"), [("dismissed", 5), ("accepted", 0), ("accepted", -1),
                            ("accepted", float("nan")), ("accepted", float("inf"))],
)  # fmt: skip
def test_an_amount_is_of_what_is_accepted(store: Store, verdict: str, amount: float) -> None:
    with pytest.raises(InputError, match="The amount is"):
        store.decisions.add("a", "reorder", verdict, "Why", amount=amount)


def test_a_decision_outlives_the_run_that_it_was_made_on(store: Store) -> None:
    run = store.runs.save(shelfwise.analyze(shop()), as_of=MARCH)
    made = store.decisions.add(7, "delist", "accepted", "Why", run_id="latest")
    assert (made.run_id, made.first_day) == (run.id, MARCH)
    assert store.decisions.newest(run_id=run.id)[0] == [made]
    store.runs.delete(run.id)
    assert store.decisions.get(made.id).run_id is None
    assert [one.id for one in store.decisions.on(MAY)] == [made.id]


def test_a_run_that_is_deleted_meanwhile_is_no_fault(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, looking = store.runs.save(shelfwise.analyze(shop()), as_of=MARCH), store.runs.has_product

    def deleted_after(*given: Any) -> bool:
        found = looking(*given)
        store.runs.delete(run.id)
        return found

    monkeypatch.setattr(store.runs, "has_product", deleted_after)
    made = store.decisions.add(7, "delist", "accepted", "Why", run_id=run.id)
    assert (made.run_id, made.first_day) == (None, MARCH)


def test_every_action_has_a_meaning() -> None:
    known = {"reorder", "clear", "run_out", "watch", "feature", "promote", "do_not_promote"}
    assert known | {"delist", "renegotiate", "second_source"} == set(ACTIONS)
    assert all(meaning.endswith(".") for meaning in ACTIONS.values())


def test_no_row_is_changed_but_for_its_end(store: Store) -> None:
    made = store.overrides.set("a", "High", "Why", first_day=MARCH)

    def row() -> dict[str, Any]:
        with store.database.read() as connection:
            wanted = sa.select(tier_overrides).where(tier_overrides.c.id == made.id)
            return dict(connection.execute(wanted).mappings().one())

    before = row()
    store.overrides.set("a", "Low", "newer", first_day=MARCH)
    assert row() == before
    store.overrides.end(made.id)
    changed = {name for name, value in row().items() if value != before[name]}
    assert changed == {"last_day", "ended_at"}
