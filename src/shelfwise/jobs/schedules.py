"""Schedules: when one comes, as cron or in plain words, what it does, and when it comes next."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter

from shelfwise.engines.failures import masked
from shelfwise.errors import InputError, excerpt

DAYS = {"sunday": "0", "monday": "1", "tuesday": "2", "wednesday": "3", "thursday": "4",
        "friday": "5", "saturday": "6", "weekdays": "1-5", "daily": "*"}  # fmt: skip
"""Words for days, as cron has them."""
SINCE = "schedule_since"
"""Where DBOS keeps `since`: in what its jobs carry."""
NAME = re.compile("[A-Za-z0-9_-]{1,64}")
EXAMPLE = "For example 'monday 06:00' or cron '0 6 * * 1', time zone Europe/Berlin."


@dataclass(frozen=True, slots=True)
class Schedule:
    """An analysis that comes again, by cron, in a time zone."""

    name: str
    cron: str
    time_zone: str
    active: bool
    last_fired_at: str | None
    request: Mapping[str, Any]
    since: str | None = None
    """From when on it has come at these times: it was made, changed, or went on after a pause."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Schedule":
        """A schedule as DBOS keeps it."""
        context = found["context"]
        request = dict(json.loads(context) if isinstance(context, str) else context)
        return cls(
            name=found["schedule_name"],
            cron=found["schedule"],
            time_zone=found.get("cron_timezone") or "UTC",
            active=found["status"] == "ACTIVE",
            last_fired_at=found.get("last_fired_at"),
            since=request.pop(SINCE, None),
            request=request,
        )

    @property
    def missed(self) -> dt.datetime | None:
        """The last time at which it should have come and did not; None where it came."""
        known = [dt.datetime.fromisoformat(one) for one in (self.last_fired_at, self.since) if one]
        last = preceding(self.cron, self.time_zone) if self.active and known else None
        return last if last and last > max(known) else None

    @property
    def next_at(self) -> dt.datetime | None:
        """When it comes next; None for one that is paused, or never comes."""
        if not self.active:
            return None
        return following(self.cron, self.time_zone)

    @property
    def place(self) -> str | None:
        """What it analyzes, without a password; None for the latest run."""
        source = self.request.get("source")
        return _masked(source)["place"] if source else None

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Where the report of its runs goes."""
        return list((self.request.get("deliver") or {}).get("targets", ()))

    def to_dict(self) -> dict[str, Any]:
        """The schedule as the API shows it."""
        return {
            "name": self.name,
            "cron": self.cron,
            "time_zone": self.time_zone,
            "active": self.active,
            "last_fired_at": self.last_fired_at,
            "next_at": self.next_at.isoformat(timespec="milliseconds") if self.next_at else None,
            "request": _masked({n: v for n, v in self.request.items() if n != "deliver"}),
            "make": (self.request.get("deliver") or {}).get("make"),
        }


def cron_of(text: str) -> str:
    """Cron for a day and a time; what is no such thing must be cron itself.

    >>> cron_of("Monday 06:30")
    '30 6 * * 1'
    """
    found = re.fullmatch(r"([a-z]+) +([0-9]{1,2}):([0-9]{2})", text.strip().lower())
    if not found:
        if not _comes_again(text):
            raise InputError(f"{excerpt(text)} is no time that comes again.", EXAMPLE)
        return " ".join(text.split())
    day, hour, minute = found.groups()
    if day not in DAYS:
        known = ", ".join(DAYS)
        raise InputError(f"There is no day {excerpt(day)}.", f"There are {known}.")
    if int(hour) > 23 or int(minute) > 59:
        raise InputError(f"There is no time {hour}:{minute}.", EXAMPLE)
    return f"{int(minute)} {int(hour)} * * {DAYS[day]}"


def _comes_again(cron: str) -> bool:
    """Whether it is cron for times without end, which are the same whenever they are asked for.

    A field of years ends, R is another time each time, and 30 February never comes.
    """
    return (
        croniter.is_valid(cron, second_at_beginning=True)
        and len(cron.split()) <= 6
        and not re.search("(?<![a-z])r(?![a-z])", cron.lower())
        and following(cron, "UTC") is not None
    )


def plain(cron: str) -> tuple[str, str] | None:
    """The day and the time of cron that can be said so; the inverse of `cron_of`.

    >>> plain("30 6 * * 1"), plain("*/5 * * * *")
    (('monday', '06:30'), None)
    """
    found = re.fullmatch(r"([0-9]{1,2}) ([0-9]{1,2}) \* \* (\S+)", cron)
    day = found and next((day for day, one in DAYS.items() if one == found[3]), None)
    return (day, f"{int(found[2]):02}:{int(found[1]):02}") if found and day else None


def must_be_name(name: str) -> None:
    """InputError for a name that no path and no file could have."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{excerpt(name)} is no name of a schedule.",
            "It has up to 64 letters, digits, - and _.",
        )


def must_be_zone(name: str) -> ZoneInfo:
    """The time zone; InputError where nobody knows it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"There is no time zone {excerpt(name)}.", "For example Europe/Berlin or UTC."
        ) from error


def following(cron: str, time_zone: str, moment: dt.datetime | None = None) -> dt.datetime | None:
    """When the next time after a moment is, now if none; None where none comes."""
    return _nearest("get_next", cron, time_zone, moment)


def preceding(cron: str, time_zone: str, moment: dt.datetime | None = None) -> dt.datetime | None:
    """When the last time before a moment was, now if none; None where none was."""
    return _nearest("get_prev", cron, time_zone, moment)


def _nearest(way: str, cron: str, time_zone: str, moment: dt.datetime | None) -> dt.datetime | None:
    zone = ZoneInfo(time_zone)
    start = moment.astimezone(zone) if moment else dt.datetime.now(zone)
    try:
        found: dt.datetime = getattr(croniter(cron, start, second_at_beginning=True), way)(
            dt.datetime
        )
    except CroniterBadDateError:
        return None
    return found


def _masked(request: Any) -> Any:
    """A request without the passwords that places in it may carry."""
    if not isinstance(request, Mapping):
        return request
    return {
        name: masked(str(value)) if name == "place" else _masked(value)
        for name, value in request.items()
    }
