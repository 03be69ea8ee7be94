"""JSON schemas of products, as they come and as they go out, made from columns and metrics."""

from typing import Any

from shelfwise.columns import COLUMNS, REQUIRED, Column
from shelfwise.insights.decisions import ACTIONS
from shelfwise.metrics import METRICS, Metric
from shelfwise.model import TIERS
from shelfwise.pipeline.features import FLAGS, SHOWN
from shelfwise.pipeline.totals import ABC
from shelfwise.sales.labels import TRENDS
from shelfwise.service.contract import ref
from shelfwise.store.derived import JOINED

EXAMPLE: list[dict[str, Any]] = [
    {"product_id": 101, "name": "Desk lamp", "price": 199.99, "units_sold": 150, "stock": 50},
    {"product_id": 102, "name": "Coffee mug", "price": 9.5, "units_sold": 40, "stock": 160},
    {"product_id": 103, "name": "Door mat", "price": 25.0, "units_sold": 90, "stock": 10},
]

MEANINGS = {
    "performance_score": "0 to 100; contributions of the weighed metrics add up to it.",
    "performance_tier": "High, Medium or Low, by the chosen tiering.",
    "cluster": "High, Medium or Low: the KMeans cluster, named by its mean score.",
    "flags": " ".join(f"{flag}: {meaning}" for flag, meaning in FLAGS.items()),
    "units_per_day": "Units sold a day, where the period is given.",
    "contributions": "Points of each metric, unrounded (explain=1).",
    "percentile": "Share of the other products that score no better (explain=1).",
    "abc_class": "A: first 80% of revenue, B: next 15%, C: the rest, N: none (explain=1).",
    "tier_override": "The tier that people let it count as; products of runs only, where there is "
    "one.",
}
"""What a computed key means, where its schema does not say it."""


def an_object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


TEXT: dict[str, Any] = {"type": "string"}
MOMENT = {"type": "string", "format": "date-time"}
OR_NULL = {"type": ["string", "null"]}


_TEXT = r"^[^\u0000-\u001f]*$"
SOME_TEXT = r"^[^\u0000-\u001f]*[^\s\u0000-\u001f][^\u0000-\u001f]*$"


def _column(column: Column) -> dict[str, Any]:
    """A column's JSON schema; an optional one may be null."""
    pattern = SOME_TEXT if column.required else _TEXT
    text = {"type": "string", "maxLength": column.max_length, "pattern": pattern}
    schema: dict[str, Any]
    if column.kind == "id":
        whole = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
        schema = {"anyOf": [whole, text]}
    elif column.kind == "text":
        schema = text
    elif column.kind == "boolean":
        schema = {"type": "boolean"}
    elif column.kind == "date":
        schema = {"type": "string", "format": "date"}
    else:
        schema = {"type": "number"}
        if column.low is not None:
            schema["minimum"] = column.low
        if column.high is not None:
            schema["maximum"] = column.high
    if not column.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    unit = f" Unit: {column.unit}." if column.unit else ""
    return schema | {"description": column.meaning + unit}


def _product() -> dict[str, Any]:
    return an_object({column.name: _column(column) for column in COLUMNS}, list(REQUIRED))


def _metric(metric: Metric) -> dict[str, Any]:
    formula = ", else ".join(metric.formulas)
    return {
        "type": ["number", "null"],
        "description": f"{metric.meaning} = {formula}. Unit: {metric.unit}.",
    }


def _scored_product() -> dict[str, Any]:
    product = _product()
    tier = {"type": "string", "enum": list(TIERS)}
    computed = {
        **{m.name: _metric(m) for m in METRICS if m.name in SHOWN},
        "performance_score": {"type": "number", "minimum": 0, "maximum": 100},
        "rank": {"type": "integer", "minimum": 1, "description": "1 is best; ties share."},
        "performance_tier": tier,
        "cluster": tier,
        "flags": {"type": "array", "items": {"type": "string", "enum": list(FLAGS)}},
    }
    optional = {
        **{m.name: _metric(m) for m in METRICS if m.name not in SHOWN},
        "units_per_day": {"type": "number", "minimum": 0},
        "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
        "percentile": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        "abc_class": {"type": "string", "enum": list(ABC.values())},
        "to_high": {
            "type": ["number", "null"],
            "description": "Units more that would make it High by quota; 0: it is, null: none.",
        },
        "tier_override": an_object(
            {"tier": tier, "reason": TEXT, "who": TEXT, "last_day": OR_NULL}
        ),
    }
    optional |= {name: _joined(name) for columns in JOINED.values() for name in columns.values()}
    return an_object(product["properties"] | computed | optional, [*product["required"], *computed])


def _joined(name: str) -> dict[str, Any]:
    """A column of what was made of a run's order lines, null where it says nothing."""
    where = "Only of runs of order lines of which this was made."
    if name == "trend":
        told = " ".join(f"{trend}: {meaning}" for trend, meaning in TRENDS.items())
        return OR_NULL | {"enum": [*TRENDS, None], "description": f"{told} {where}"}
    if name == "action":
        told = " ".join(f"{action}: {meaning}" for action, meaning in ACTIONS.items())
        about = f"What to do, by inventory. {told} Only of runs that it was decided for."
        return OR_NULL | {"enum": [*ACTIONS, None], "description": about}
    text = name.endswith(("reason", "warning", "date"))
    kind = "string" if text else "integer" if name.endswith("weeks") else "number"
    return {"type": [kind, "null"], "description": f"{JOINED_MEANINGS[name]} {where}"}


JOINED_MEANINGS = {
    "action_amount": "Units that the action is about.",
    "action_date": "When to act, at the latest.",
    "action_money": "What is at stake, in money.",
    "action_reason": "Why to act, in words.",
    "growth": "Change a year, as a share.",
    "growth_low": "Lower end of its 95% interval.",
    "growth_high": "Upper end of its 95% interval.",
    "p_value": "Of the test for a trend, two-sided.",
    "q_value": "The same after Benjamini-Hochberg over all products.",
    "shift": "The last 13 weeks against what was usual, as a share, where that is confirmed.",
    "trend_reason": "Why there is no trend, or only an indication.",
    "forecast_weeks": "The horizon of the forecast.",
    "forecast_expected": "Units expected over the horizon.",
    "forecast_q5": "Units that it sells at least with a probability of 95%.",
    "forecast_q50": "The median of the units over the horizon.",
    "forecast_q95": "Units that it sells at most with a probability of 95%.",
    "forecast_reason": "Why there is no forecast.",
    "elasticity": "Percent that units change where the price is one percent higher.",
    "elasticity_low": "Lower end of its 90% interval.",
    "elasticity_high": "Upper end of its 90% interval.",
    "elasticity_reason": "Why there is no elasticity.",
    "elasticity_warning": "It is an association, not what a change of price would do.",
}


def _summary() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    tiers = an_object(dict.fromkeys(TIERS, count))
    return an_object(
        {
            "products": count,
            "avg_score": {"type": "number"},
            "top_product": {"type": "string"},
            "total_revenue": {"type": "number"},
            "tiers": tiers,
            "clusters": tiers,
            "tier_by_cluster": an_object(dict.fromkeys(TIERS, tiers)),
            "effective_weights": {
                "type": "object",
                "additionalProperties": {"type": ["number", "null"]},
                "description": "How much each metric really moves the score; adds up to 1.",
            },
            "tied_at_cuts": an_object({"high": count, "low": count}),
            "skipped": count,
        }
    )


def rejected() -> dict[str, Any]:
    return {
        "type": "array",
        "items": an_object({"pointer": {"type": "string"}, "detail": {"type": "string"}}),
    }


def warnings() -> dict[str, Any]:
    text = {"type": "string"}
    return {"type": "array", "items": an_object({"code": text, "message": text, "hint": text})}


def model() -> dict[str, Any]:
    kinds = {"id": "string", "profile": "string", "tiering": "string",
             "parameters_sha256": "string", "version": "integer"}  # fmt: skip
    return an_object({name: {"type": kind} for name, kind in kinds.items()})


def _answer() -> dict[str, Any]:
    always = {
        "status": {"const": "success"},
        "data": {"type": "array", "items": ref("ScoredProduct")},
        "rejected": rejected(),
        "summary": ref("Summary"),
        "model": model(),
        "warnings": warnings(),
    }
    kept = {"run_id": {"type": "string", "description": "The run that was kept (save=1)."}}
    return an_object(always | kept, list(always))


def _valid() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return an_object(
        {
            "status": {"const": "valid"},
            "products": count,
            "skipped": count,
            "rejected": rejected(),
            "warnings": warnings(),
        }
    )


PRODUCTS = {
    "Product": _product(),
    "ScoredProduct": _scored_product(),
    "Summary": _summary(),
    "Answer": _answer(),
    "Valid": _valid(),
}
"""Schemas of what is scored, by their name in the document."""
