"""JSON schemas of all that bodies and answers hold; those of products are made elsewhere."""

from collections.abc import Iterable
from typing import Any

import msgspec

from shelfwise.engines.parquet import HISTORY
from shelfwise.insights.decisions import ACTIONS
from shelfwise.jobs.queue import STATES, WHAT
from shelfwise.model import TIERS
from shelfwise.service.contract import ref
from shelfwise.service.product_schemas import (
    MOMENT,
    OR_NULL,
    PRODUCTS,
    TEXT,
    an_object,
    model,
    rejected,
    warnings,
)
from shelfwise.store.deliveries import KINDS
from shelfwise.store.deliveries import STATES as DELIVERY_STATES
from shelfwise.store.derived import KINDS as MADE
from shelfwise.store.derived import NAMES
from shelfwise.store.keys import SCOPES
from shelfwise.store.opinions import VERDICTS, Decision, Override


def page_of(name: str) -> dict[str, Any]:
    """A list: `data`, and `next` to pass as `after` (null: no more)."""
    return an_object({"data": {"type": "array", "items": ref(name)}, "next": OR_NULL})


def _problem() -> dict[str, Any]:
    return an_object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": ["string", "null"]},
            "request_id": {"type": "string"},
            "errors": rejected(),
            "error_count": {"type": "integer", "minimum": 0},
        }
    )


def _run() -> dict[str, Any]:
    return an_object(
        {
            "id": TEXT,
            "created_at": MOMENT,
            "as_of": {"type": "string", "format": "date"},
            "label": OR_NULL,
            "source": TEXT,
            "origin": TEXT,
            "pinned": {"type": "boolean"},
            "profile": TEXT,
            "tiering": TEXT,
            "group_by": OR_NULL,
            "products": {"type": "integer", "minimum": 1},
            "summary": ref("Summary"),
            "warnings": warnings(),
            "quality": {"type": ["object", "null"]},
            "model": model(),
        }
    )


def _rejected_row() -> dict[str, Any]:
    return an_object(
        {"row": {"type": ["integer", "null"]}, "column": TEXT, "value": OR_NULL, "reason": TEXT}
    )


def _history() -> dict[str, Any]:
    number = {"type": ["number", "null"]}
    return an_object(
        {
            "location": OR_NULL,
            "run_id": TEXT,
            **{name: number for name in HISTORY if name != "performance_tier"},
            "performance_tier": {"type": "string", "enum": list(TIERS)},
            "as_of": {"type": "string", "format": "date"},
            "label": OR_NULL,
            "products": {"type": "integer", "minimum": 1},
        }
    )


def _version() -> dict[str, Any]:
    return an_object(
        {
            "name": TEXT,
            "version": {"type": "integer", "minimum": 1},
            "created_at": MOMENT,
            "run_id": OR_NULL,
            "aliases": {"type": "array", "items": TEXT},
            "products": {"type": "integer", "minimum": 1},
            "model": model(),
        }
    )


def _drift() -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return an_object(
        {
            "metric": TEXT,
            "psi": {"type": ["number", "null"], "description": "None without training data."},
            "verdict": {"type": ["string", "null"], "enum": ["stable", "moved", "shifted", None]},
            "below": share | {"description": "Share of products below the fitted range."},
            "above": share | {"description": "Share of products above the fitted range."},
            "clipped": share,
        }
    )


def _dataclass(kind: type, **values: Iterable[str]) -> dict[str, Any]:
    """The schema of a dataclass that is shown field by field; `values` that a text may have."""
    schema: dict[str, Any] = msgspec.json.schema_components([kind])[1][kind.__name__]
    for name, known in values.items():
        schema["properties"][name]["enum"] = list(known)
    return schema


_SCOPES = {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}}


def _key() -> dict[str, Any]:
    when = {"type": ["string", "null"], "format": "date-time"}
    return an_object(
        {"prefix": TEXT, "name": TEXT, "scopes": _SCOPES, "created_at": MOMENT,
         "expires_at": when, "revoked_at": when, "works": {"type": "boolean"}}
    )  # fmt: skip


def _entry() -> dict[str, Any]:
    return an_object(
        {"id": TEXT, "at": MOMENT, "who": TEXT, "action": TEXT, "target": TEXT,
         "request_id": OR_NULL, "detail": {"type": ["object", "null"]}}
    )  # fmt: skip


def _job() -> dict[str, Any]:
    done = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    error = an_object({"code": TEXT, "detail": TEXT, "errors": rejected(), "error_count":
                       {"type": "integer", "minimum": 0}})  # fmt: skip
    return an_object(
        {
            "id": TEXT,
            "state": {"type": "string", "enum": list(dict.fromkeys(STATES.values()))},
            "what": {"type": "string", "enum": list(WHAT)},
            "created_at": MOMENT,
            "finished_at": {"type": ["string", "null"], "format": "date-time"},
            "progress": an_object({"phase": OR_NULL, "done": done}),
            "run_id": OR_NULL,
            "error": {"anyOf": [error, {"type": "null"}]},
        }
    )


def _upload() -> dict[str, Any]:
    column = an_object({"name": TEXT, "taken_as": OR_NULL})
    cells = {"type": "object", "additionalProperties": OR_NULL}
    texts = {"type": "array", "items": TEXT}
    return an_object(
        {
            "id": TEXT,
            "created_at": MOMENT,
            "name": TEXT,
            "kind": TEXT,
            "bytes": {"type": "integer", "minimum": 0},
            "columns": {"type": "array", "items": column},
            "missing": texts,
            "rows": {"type": "array", "items": cells},
            "problems": rejected(),
            "repaired": texts,
            "read_as": texts,
            "sampled": {"type": "integer", "minimum": 0},
        }
    )


WHEN = {"type": ["string", "null"], "format": "date-time"}


def _target() -> dict[str, Any]:
    texts = {"type": "array", "items": TEXT}
    return an_object(
        {"kind": {"type": "string", "enum": list(KINDS)}, "to": texts, "formats": texts,
         "secret": OR_NULL | {"description": "What signs a webhook; for admins."}}
    )  # fmt: skip


def _delivery() -> dict[str, Any]:
    return an_object(
        {"id": TEXT, "run_id": TEXT, "schedule": OR_NULL, "target": _target(),
         "state": {"type": "string", "enum": list(DELIVERY_STATES)},
         "tries": {"type": "integer", "minimum": 0},
         "reason": OR_NULL | {"description": "Why it has not arrived (yet)."},
         "note": OR_NULL | {"description": "What the report lacks, or who did not get it."},
         "created_at": MOMENT, "due_at": WHEN, "sent_at": WHEN}
    )  # fmt: skip


def _schedule() -> dict[str, Any]:
    return an_object(
        {"name": TEXT, "cron": TEXT, "time_zone": TEXT, "active": {"type": "boolean"},
         "last_fired_at": OR_NULL, "next_at": WHEN, "request": {"type": "object"},
         "deliver": {"type": "array", "items": _target()},
         "make": {"type": ["array", "null"], "items": {"type": "string", "enum": list(MADE)}}}
    )  # fmt: skip


def _derived() -> dict[str, Any]:
    about = {"type": "object", "description": "The options it was made with; of decisions also "
             "`withheld`, `assumptions` and `summary`."}  # fmt: skip
    return an_object({"name": {"type": "string", "enum": list(NAMES)}, "created_at": MOMENT,
                      "about": about})  # fmt: skip


def _derived_row() -> dict[str, Any]:
    cell = {"type": ["string", "number", "boolean", "null"]}
    return {"type": "object", "additionalProperties": cell,
            "description": "The columns that the reference names."}  # fmt: skip


def _status() -> dict[str, Any]:
    return an_object({"status": TEXT, "version": TEXT})


SCHEMAS = {
    **PRODUCTS,
    "Problem": _problem(),
    "Run": _run(),
    "RunPage": page_of("Run"),
    "ProductPage": page_of("ScoredProduct"),
    "RejectedPage": page_of("RejectedRow"),
    "RejectedRow": _rejected_row(),
    "Derived": _derived(),
    "DerivedPage": page_of("Derived"),
    "DerivedRow": _derived_row(),
    "DerivedRowPage": page_of("DerivedRow"),
    "HistoryRow": _history(),
    "HistoryPage": page_of("HistoryRow"),
    "ModelVersion": _version(),
    "ModelPage": page_of("ModelVersion"),
    "Drift": _drift(),
    "DriftPage": page_of("Drift"),
    "Override": _dataclass(Override, tier=TIERS),
    "OverridePage": page_of("Override"),
    "Decision": _dataclass(Decision, action=ACTIONS, verdict=VERDICTS),
    "DecisionPage": page_of("Decision"),
    "Job": _job(),
    "JobPage": page_of("Job"),
    "Upload": _upload(),
    "Delivery": _delivery(),
    "DeliveryPage": page_of("Delivery"),
    "Link": an_object({"url": TEXT, "expires_at": MOMENT}),
    "Schedule": _schedule(),
    "SchedulePage": page_of("Schedule"),
    "Key": _key(),
    "KeyPage": page_of("Key"),
    "OwnKey": an_object({"who": TEXT, "scopes": _SCOPES}),
    "MadeKey": an_object({"key": TEXT, "about": ref("Key")}),
    "AuditEntry": _entry(),
    "AuditPage": page_of("AuditEntry"),
    "Status": _status(),
}
"""Every schema of the document, by its name there."""
