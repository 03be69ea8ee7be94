"""The contract as OpenAPI 3.1, made from the same columns and metrics as everything else."""

from functools import cache
from typing import Any, get_args

from shelfwise import __version__
from shelfwise.cells import OnError
from shelfwise.columns import COLUMNS, REQUIRED, Column
from shelfwise.metrics import METRICS, Metric
from shelfwise.model import TIERS, Tiering
from shelfwise.pipeline.features import FLAGS, SHOWN
from shelfwise.profile import PROFILES

EXAMPLE: list[dict[str, Any]] = [
    {"product_id": 101, "name": "Desk lamp", "price": 199.99, "units_sold": 150, "stock": 50},
    {"product_id": 102, "name": "Coffee mug", "price": 9.5, "units_sold": 40, "stock": 160},
    {"product_id": 103, "name": "Door mat", "price": 25.0, "units_sold": 90, "stock": 10},
]

_SWITCH = {"type": "string", "enum": ["0", "1"]}


MEANINGS = {
    "performance_score": "0 to 100; contributions of the weighed metrics add up to it.",
    "performance_tier": "High, Medium or Low, by the chosen tiering.",
    "cluster": "High, Medium or Low: the KMeans cluster, named by its mean score.",
    "flags": " ".join(f"{flag}: {meaning}" for flag, meaning in FLAGS.items()),
    "units_per_day": "Units sold a day, where the period is given.",
    "contributions": "Points of each metric, unrounded (explain=1).",
    "percentile": "Share of the other products that score no better (explain=1).",
    "abc_class": "A: first 80 % of revenue, B: next 15 %, C: the rest, N: none (explain=1).",
}
"""What a computed key means, where its schema does not say it."""


def _parameter(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


PARAMETERS: dict[str, dict[str, Any]] = {
    "profile": _parameter("How to score.", type="string", enum=list(PROFILES)),
    "tiering": _parameter(
        "quota: best fifth High, worst fifth Low; kmeans: the clusters.",
        type="string", enum=list(get_args(Tiering)),
    ),
    "model": _parameter(
        "Id of the model that the server was started with.", type="string",
        pattern="^[A-Za-z0-9_-]{1,64}$",
    ),
    "period_days": _parameter(
        "Days that the sales cover; adds units_per_day.", type="number", minimum=1, maximum=36600
    ),
    "on_error": _parameter(
        "reject lists every bad row and scores nothing; skip scores the others; repair first "
        "mends what is certainly meant.",
        type="string", enum=list(get_args(OnError)),
    ),
    "extra": _parameter(
        "keep gives unknown keys back; drop counts them in a warning.",
        type="string", enum=["drop", "keep"],
    ),
    "explain": _parameter("1 adds contributions, percentile, ABC class, to_high.", **_SWITCH),
    "precision": _parameter(
        "short: money and scores at 2 decimals, ratios at 6; full: everything.",
        type="string", enum=["short", "full"],
    ),
    "dry_run": _parameter("1 only checks the rows.", **_SWITCH),
}  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shelfwise",
            "version": __version__,
            "summary": "Tells which products earn their place.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/product-analysis": {"post": _analysis()},
            "/livez": {"get": _probe("The process answers.")},
            "/readyz": {"get": _probe("Requests are welcome.", not_ready=True)},
        },
        "components": {
            "schemas": {
                "Product": _product(),
                "ScoredProduct": _scored_product(),
                "Summary": _summary(),
                "Answer": _answer(),
                "Valid": _valid(),
                "Problem": _problem(),
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _analysis() -> dict[str, Any]:
    errors = {
        "400": "Not JSON, not gzip, not UTF-8, or cut short; the detail has the offset.",
        "401": "The server wants a key.",
        "403": "The request came through an undeclared proxy.",
        "404": "There is no such model.",
        "413": "More rows or bytes than the limits allow.",
        "415": "Not application/json in UTF-8, or an encoding other than gzip.",
        "422": "Rows break the contract; the first 50 problems are listed, all are counted.",
    }
    return {
        "operationId": "analyzeProducts",
        "summary": "Score, tier and cluster a catalogue.",
        "description": "Scores compare the products of one request with each other. Beyond the "
        "schema of a row: a product_id stands once (1 and \"1\" are the same; with location, the "
        "pair), and all currencies are the same.",
        "security": [{}, {"key": []}],
        "parameters": [{"name": n, "in": "query", "required": False} | p
                       for n, p in PARAMETERS.items()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "array", "minItems": 1, "items": _ref("Product")},
                    "example": EXAMPLE,
                }
            },
        },
        "responses": {
            "200": {
                "description": "The scored products, in the order of the request.",
                "content": {"application/json": {
                    "schema": {"anyOf": [_ref("Answer"), _ref("Valid")]}}},
            },
            **{status: _error(text) for status, text in errors.items()},
        },
    }  # fmt: skip


def _probe(text: str, *, not_ready: bool = False) -> dict[str, Any]:
    schema = _object({"status": {"type": "string"}, "version": {"type": "string"}})
    ok = {"description": text, "content": {"application/json": {"schema": schema}}}
    stopping = {"503": _error("The server is stopping.")} if not_ready else {}
    return {"summary": text, "security": [{}], "responses": {"200": ok} | stopping}


def _error(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


_TEXT = r"^[^\u0000-\u001f]*$"
_SOME_TEXT = r"^[^\u0000-\u001f]*[^\s\u0000-\u001f][^\u0000-\u001f]*$"


def _column(column: Column) -> dict[str, Any]:
    """A column's JSON schema; an optional one may be null."""
    pattern = _SOME_TEXT if column.required else _TEXT
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
    return _object({column.name: _column(column) for column in COLUMNS}, list(REQUIRED))


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
        "abc_class": {"type": "string", "enum": ["A", "B", "C", "N"]},
        "to_high": {
            "type": ["number", "null"],
            "description": "Units more that would make it High by quota; 0: it is, null: none.",
        },
    }
    return _object(product["properties"] | computed | optional, [*product["required"], *computed])


def _summary() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    tiers = _object(dict.fromkeys(TIERS, count))
    return _object(
        {
            "products": count,
            "avg_score": {"type": "number"},
            "top_product": {"type": "string"},
            "total_revenue": {"type": "number"},
            "tiers": tiers,
            "clusters": tiers,
            "tier_by_cluster": _object(dict.fromkeys(TIERS, tiers)),
            "effective_weights": {
                "type": "object",
                "additionalProperties": {"type": ["number", "null"]},
                "description": "How much each metric really moves the score; adds up to 1.",
            },
            "tied_at_cuts": _object({"high": count, "low": count}),
            "skipped": count,
        }
    )


def _rejected() -> dict[str, Any]:
    return {
        "type": "array",
        "items": _object({"pointer": {"type": "string"}, "detail": {"type": "string"}}),
    }


def _warnings() -> dict[str, Any]:
    text = {"type": "string"}
    return {"type": "array", "items": _object({"code": text, "message": text, "hint": text})}


def _answer() -> dict[str, Any]:
    model = {"id": "string", "profile": "string", "tiering": "string",
             "parameters_sha256": "string", "version": "integer"}  # fmt: skip
    return _object(
        {
            "status": {"const": "success"},
            "data": {"type": "array", "items": _ref("ScoredProduct")},
            "rejected": _rejected(),
            "summary": _ref("Summary"),
            "model": _object({name: {"type": kind} for name, kind in model.items()}),
            "warnings": _warnings(),
        }
    )


def _valid() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return _object(
        {
            "status": {"const": "valid"},
            "products": count,
            "skipped": count,
            "rejected": _rejected(),
            "warnings": _warnings(),
        }
    )


def _problem() -> dict[str, Any]:
    return _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": ["string", "null"]},
            "request_id": {"type": "string"},
            "errors": _rejected(),
            "error_count": {"type": "integer", "minimum": 0},
        }
    )
