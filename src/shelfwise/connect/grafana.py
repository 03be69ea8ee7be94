"""A dashboard of Grafana and what provisions it, over the views in PostgreSQL.

Where the database is and its password come from variables of Grafana's own environment.
The files of provisioning are JSON, which YAML is made of.
"""

import json
from typing import Any

from shelfwise.connect import Files
from shelfwise.connect.questions import (
    ABOUT,
    TIER_COLORS,
    TITLE,
    WIDTH,
    Question,
    label,
    rows,
    sql,
)

SOURCE = {"type": "grafana-postgresql-datasource", "uid": "shelfwise"}
FOLDER = "/etc/grafana/provisioning/dashboards/shelfwise"
COLUMNS = 24
"""How wide Grafana's grid is."""
KINDS = {"number": "stat", "bars": "barchart", "lines": "timeseries", "table": "table"}
UNITS = {"money": "locale", "count": "locale", "share": "percentunit", "score": "none"}
OF_COLUMNS = {"share": "percentunit", "money": "locale", "units": "locale", "products": "locale"}
DECIMALS = {"money": 0, "count": 0, "share": 1, "score": 1}


def files() -> Files:
    """The files, as they stand below Grafana's folder of provisioning."""
    source = {
        "name": "Shelfwise",
        "uid": SOURCE["uid"],
        "type": SOURCE["type"],
        "access": "proxy",
        "url": "${REPORTING_DB_HOST}:${REPORTING_DB_PORT}",
        "user": "${REPORTING_DB_USER}",
        "jsonData": {"database": "${REPORTING_DB_NAME}", "sslmode": "${REPORTING_DB_SSLMODE}"},
        "secureJsonData": {"password": "${REPORTING_DB_PASSWORD}"},
        "editable": False,
    }
    provider = {
        "name": "Shelfwise",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": FOLDER},
    }
    made = {
        "datasources/shelfwise.yaml": {"apiVersion": 1, "datasources": [source]},
        "dashboards/shelfwise.yaml": {"apiVersion": 1, "providers": [provider]},
        "dashboards/shelfwise/shelfwise.json": dashboard(),
    }
    return {path: json.dumps(content, indent=1, ensure_ascii=False).encode()
            for path, content in made.items()}  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana keeps it."""
    panels: list[dict[str, Any]] = []
    down = 0
    for questions in rows():
        across = 0
        for question in questions:
            wide = question.width * COLUMNS // WIDTH
            place = {"x": across, "y": down, "w": wide, "h": question.height}
            panels.append(_panel(len(panels) + 1, question, place))
            across += wide
        down += max(question.height for question in questions)
    return {
        "id": None,
        "uid": "shelfwise",
        "title": TITLE,
        "description": ABOUT,
        "tags": ["shelfwise"],
        "timezone": "utc",  # A day is midnight there; west of it, it would be the day before.
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-2y", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(number: int, question: Question, place: dict[str, int]) -> dict[str, Any]:
    target = {
        "refId": "A",
        "datasource": SOURCE,
        "editorMode": "code",
        "rawQuery": True,
        "format": "time_series" if question.shape == "lines" else "table",
        "rawSql": sql(question),
    }
    defaults: dict[str, Any] = {}
    if question.measures:
        unit = question.measures[0].unit
        defaults = {"unit": UNITS[unit], "decimals": DECIMALS[unit]}
    return {
        "id": number,
        "title": question.title,
        "description": question.meaning,
        "type": KINDS[question.shape],
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [target],
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(question)},
        "options": _options(question),
    }


def _options(question: Question) -> dict[str, Any]:
    if question.shape == "number":
        shown = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": shown, "colorMode": "none", "graphMode": "none"}
    if question.shape == "bars":
        legend = {"showLegend": len(question.measures) > 1, "placement": "bottom"}
        return {"xField": label(question.by[0]), "orientation": "auto", "legend": legend}
    if question.shape == "lines":
        return {"legend": {"showLegend": True, "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return {"showHeader": True}


def _overrides(question: Question) -> list[dict[str, Any]]:
    """How single columns are written and colored."""
    made: list[tuple[str, dict[str, Any]]] = [
        (label(field.name), {"id": "unit", "value": OF_COLUMNS[field.unit]})
        for field in question.columns
        if question.shape == "table" and field.unit in OF_COLUMNS
    ]
    made += [
        (measure.label, {"id": "color",
                         "value": {"mode": "fixed", "fixedColor": TIER_COLORS[measure.label]}})
        for measure in question.measures if measure.label in TIER_COLORS
    ]  # fmt: skip
    if question.shape == "bars" and len({m.unit for m in question.measures}) > 1:
        # Money and a number of products need an axis each.
        made += [(measure.label, {"id": "custom.axisPlacement", "value": "right"})
                 for measure in question.measures[1:]]  # fmt: skip
    return [
        {"matcher": {"id": "byName", "options": name}, "properties": [change]}
        for name, change in made
    ]
