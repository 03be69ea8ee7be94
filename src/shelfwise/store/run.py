"""A run: one analysis that is kept, as its row in the database tells it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shelfwise.model import Model
from shelfwise.notices import Notice


@dataclass(frozen=True, slots=True)
class Run:
    """One analysis that is kept; times are UTC, `as_of` is the day that it speaks of."""

    id: str
    created_at: dt.datetime
    as_of: dt.date
    label: str | None
    source: str
    origin: str
    pinned: bool
    profile: str
    tiering: str
    group_by: str | None
    fitted: bool
    products: int
    summary: Mapping[str, Any]
    warnings: tuple[Notice, ...]
    quality: Mapping[str, Any] | None
    model: Model
    results: str
    rejected: str | None

    def to_dict(self) -> dict[str, Any]:
        """The run as the API shows it."""
        return {
            "id": self.id,
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
            "as_of": self.as_of.isoformat(),
            "label": self.label,
            "source": self.source,
            "origin": self.origin,
            "pinned": self.pinned,
            "profile": self.profile,
            "tiering": self.tiering,
            "group_by": self.group_by,
            "products": self.products,
            "summary": dict(self.summary),
            "warnings": [w.to_dict() for w in self.warnings],
            "quality": self.quality,
            "model": self.model.to_dict(),
        }


def run_of(row: Mapping[Any, Any]) -> Run:
    """The run of a row of the table `runs`."""
    values = {name: row[name] for name in Run.__dataclass_fields__ if name != "model"}
    values["warnings"] = tuple(Notice(**notice) for notice in row["warnings"])
    return Run(**values, model=Model.from_parameters(row["parameters"]))
