"""When schedules come: over changes of the clock, and never."""

import datetime as dt

import pytest

from shelfwise.jobs.schedules import DAYS, Schedule, cron_of, following, plain, preceding
from shelfwise.store.database import now


@pytest.mark.parametrize(
    ("cron", "before", "comes"),
    [
        ("0 6 * * 1", "2027-03-22T07:00+01:00", "2027-03-29T06:00+02:00"),
        ("0 6 * * 1", "2027-10-25T07:00+02:00", "2027-11-01T06:00+01:00"),
        ("30 2 * * *", "2027-03-27T03:00+01:00", "2027-03-28T03:00+02:00"),
        ("30 2 * * *", "2027-10-31T02:15+02:00", "2027-10-31T02:30+02:00"),
        ("30 2 * * *", "2027-10-31T02:30+02:00", "2027-10-31T02:30+01:00"),
        ("30 2 * * *", "2027-10-31T02:30+01:00", "2027-11-01T02:30+01:00"),
    ],
    ids=["into summer", "into winter", "an hour that is not there", "an hour that comes twice",
         "its second time", "after it"],
)  # fmt: skip
def test_the_hour_is_that_of_the_zone_also_where_the_clock_changes(
    cron: str, before: str, comes: str
) -> None:
    found = following(cron, "Europe/Berlin", dt.datetime.fromisoformat(before))
    assert found is not None
    assert found.isoformat(timespec="minutes") == comes


def test_what_was_kept_and_never_comes_stops_nobody() -> None:
    kept = Schedule("never", "0 0 30 2 *", "UTC", True, None, {})
    assert kept.to_dict()["next_at"] is None
    assert preceding(kept.cron, kept.time_zone) is None


def test_what_was_missed_is_the_last_time_since_it_came_or_was_made() -> None:
    def missed(last_fired_at: dt.timedelta | None, since: dt.timedelta | None,
               active: bool = True) -> bool:  # fmt: skip
        moments = [one and (now() - one).isoformat() for one in (last_fired_at, since)]
        kept = Schedule("weekly", "0 6 * * 1", "UTC", active, moments[0], {}, moments[1])
        found = kept.missed
        assert found in (None, preceding(kept.cron, kept.time_zone))
        return found is not None

    weeks, moment = dt.timedelta(weeks=2), dt.timedelta(seconds=1)
    assert missed(weeks, weeks)
    assert missed(None, weeks), "it was made, and no worker has run since"
    assert missed(weeks, None)
    assert not missed(weeks, weeks, active=False)
    assert not missed(moment, weeks)
    assert not missed(weeks, moment), "it was paused, or had another time"
    assert not missed(None, None)


def test_words_for_a_time_and_cron_are_each_other() -> None:
    for day in DAYS:
        assert plain(cron_of(f"{day} 06:05")) == (day, "06:05")
    assert plain("0 6 1 * *") is None
    assert plain("0 6 * * 1,3") is None
