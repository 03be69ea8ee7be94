"""Method: how the shown scores are computed, by which weights, and within which limits."""

from typing import Any

import msgspec
import polars as pl
from flask import Response, request

from shelfwise.errors import NotFoundError
from shelfwise.insights.sections import QUESTIONS
from shelfwise.metrics import METRICS, Metric
from shelfwise.model import TIERS, Scale
from shelfwise.notices import EFFECTIVE_GAP
from shelfwise.profile import PROFILES, Profile
from shelfwise.service.dashboard.data import file_name
from shelfwise.service.dashboard.page import Seen, bound, screen, seen, show
from shelfwise.texts import text


@screen("/method")
def method() -> str:
    """How it is computed: of a run with its ranges and cuts, else in general."""
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        profile = PROFILES["standard"]
        own = [profile.metric(term.metric) for term in profile.terms]
        return show("method", "method", title=text("method.title.none"), profile=profile,
                    metrics=[_metric(metric, profile) for metric in own],
                    others=[_metric(m, profile) for m in METRICS if not _used(m, profile)],
                    decisions=_decisions())  # fmt: skip
    run, profile = some.run, some.run.model.profile
    effective = run.summary.get("effective_weights") or {}
    return show(
        "method",
        "method",
        title=_finding(some, effective),
        profile=profile,
        source=file_name(run.source),
        model=run.model,
        metrics=[
            _metric(profile.metric(scale.metric), profile) | _scaled(scale, some)
            | {"effective": effective.get(scale.metric)}
            for scale in run.model.scales
        ],
        withheld=[profile.metric(name).label for name in run.model.withheld],
        others=[_metric(m, profile) for m in METRICS if not _used(m, profile)],
        tiers=[(tier, run.summary["tiers"].get(tier, 0)) for tier in TIERS],
        clusters=run.model.centers,
        example=_example(some),
        file=bound("method.json"),
        decisions=_decisions(),
    )  # fmt: skip


@screen("/method.json")
def method_file() -> Response:
    """What the model of the shown run has learned, as JSON that another machine can import."""
    run = seen().run
    body = msgspec.json.format(msgspec.json.encode(run.model.parameters), indent=1)
    response = Response(body, content_type="application/json")
    name = f"{run.as_of}-{run.model.id}-model.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _used(metric: Metric, profile: Profile) -> bool:
    return any(term.metric == metric.name for term in profile.terms)


def _finding(some: Seen, effective: dict[str, float | None]) -> str:
    """What moves the score: where a weight is far from its effect that, else the weights."""
    f, profile = some.formats, some.run.model.profile
    gaps = [
        (abs(real - scale.weight), scale, real)
        for scale in some.run.model.scales
        if (real := effective.get(scale.metric)) is not None
    ]
    if gaps and (most := max(gaps, key=lambda gap: gap[0]))[0] > EFFECTIVE_GAP:
        _, scale, real = most
        return text("method.title.gap", metric=profile.metric(scale.metric).label,
                    weight=f.share(scale.weight), real=f.share(real))  # fmt: skip
    parts = [f"{profile.metric(scale.metric).label.lower()} {f.share(scale.weight)}"
             for scale in some.run.model.scales]  # fmt: skip
    return text("method.title", parts=", ".join(parts))


def _metric(metric: Metric, profile: Profile) -> dict[str, Any]:
    term = next((one for one in profile.terms if one.metric == metric.name), None)
    return {
        "name": metric.name, "label": metric.label, "formulas": metric.formulas,
        "unit": metric.unit, "meaning": metric.meaning,
        "better": term.better if term else metric.better,
        "weight": term.weight if term else None,
        "scaling": term.scaling if term else None,
    }  # fmt: skip


def _scaled(scale: Scale, some: Seen) -> dict[str, Any]:
    """The weight and the range that count in this run."""
    metric = some.run.model.profile.metric(scale.metric)
    f = some.formats

    def said(value: float) -> str:
        if metric.unit == "money" and scale.scaling != "log1p":
            return f.money_short(value)
        if metric.unit.startswith("share"):
            return f.share(value, 1)
        return f"{value:,.4g}"

    return {"weight": scale.weight, "scaling": scale.scaling, "constant": scale.constant,
            "low": said(scale.low), "high": said(scale.high)}  # fmt: skip


def _example(some: Seen) -> dict[str, Any] | None:
    """The best product, with the parts that its score is added up from."""
    row = some.products.filter(pl.col("rank") == 1).head(1).collect().to_dicts()
    profile = some.run.model.profile
    parts = [
        (profile.metric(scale.metric).label, row[0].get(f"contribution_{scale.metric}"))
        for scale in some.run.model.scales
    ] if row else []  # fmt: skip
    if not parts or any(points is None for _, points in parts):
        return None
    return {"row": row[0], "parts": parts}


def _decisions() -> list[dict[str, Any]]:
    """The formulas of each question's columns, where they have one."""
    return [
        {"name": question.name, "asks": question.asks,
         "columns": [column for column in question.columns if column.formula]}
        for question in QUESTIONS.values()
    ]  # fmt: skip
