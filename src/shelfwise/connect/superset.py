"""Assets of Apache Superset: the views as datasets, a chart for each question, a dashboard.

Ids are made of the database's address, so that the same address gives the same ids, and two
stores in one Superset do not take each other's. The files are JSON, which YAML is made of.
"""

import json
import re
import uuid
from typing import Any

from shelfwise.connect import Files
from shelfwise.connect.questions import (
    ABOUT,
    QUESTIONS,
    TIER_COLORS,
    TITLE,
    Measure,
    Question,
    label,
    rows,
)
from shelfwise.engines.failures import masked
from shelfwise.errors import InputError, excerpt
from shelfwise.store.reporting import SCHEMA, VIEWS, Field, Kind, View

ROOT, VERSION = "shelfwise", "1.0.0"
OURS = uuid.UUID("6b1f2d0c-8f0e-5c7a-9a55-3d2c1e4b7f60")
"""What our ids are made in."""
ADDRESS = (
    r"(postgresql(\+[a-z0-9]+)?://([A-Za-z0-9_.%~-]+@)?([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])"
    r"(:[0-9]{1,5})?/[A-Za-z0-9_.%~-]+(\?[A-Za-z0-9_=&.%/~-]*)?|sqlite:///[!-~]+)"
)
"""An address of a database without a password."""
PASSWORD = re.compile(r"[^/@]*://[^/@]*:[^/@]*@")
ASKED = "XXXXXXXXXX"
"""A password that Superset asks for when it imports."""
TYPES: dict[Kind, str] = {
    "text": "VARCHAR", "number": "DOUBLE PRECISION", "whole": "BIGINT", "boolean": "BOOLEAN",
    "date": "DATE", "moment": "TIMESTAMP",
}  # fmt: skip
KINDS = {"number": "big_number_total", "bars": "echarts_timeseries_bar",
         "lines": "echarts_timeseries_line", "table": "table"}  # fmt: skip
FORMATS = {"money": ",.0f", "count": ",d", "share": ".1%", "score": ",.1f"}
UNITS = {"money": "money", "share": "share", "0 to 100": "score"}
"""Units of columns whose numbers are written in a way of their own."""


def files(database: str) -> Files:
    """The files of the ZIP, for the database at an address without a password.

    Raises InputError for an address with a password, or of something else than PostgreSQL or
    SQLite.
    """
    address = _checked(database)
    made = {
        "metadata.yaml": {"version": VERSION, "type": "Dashboard"},
        "databases/Shelfwise.yaml": _database(database, address),
        "dashboards/Shelfwise.yaml": _dashboard(database),
    }
    for view in VIEWS:
        made[f"datasets/Shelfwise/{view.name}.yaml"] = _dataset(database, view)
    for question in QUESTIONS:
        made[f"charts/{question.name}.yaml"] = _chart(database, question)
    return {
        f"{ROOT}/{path}": json.dumps(content, indent=1, ensure_ascii=False).encode()
        for path, content in made.items()
    }


def _checked(database: str) -> str:
    """The address that Superset gets; with a user, it asks for the password."""
    if PASSWORD.match(database):
        raise InputError(
            f"The address {masked(database)} has a password.",
            "Leave it out: Superset asks for it when it imports the file.",
        )
    if not re.fullmatch(ADDRESS, database):
        raise InputError(
            f"{excerpt(masked(database))} is no address of a database of Shelfwise.",
            "For example postgresql://shelfwise_reader@host/shelfwise.",
        )
    return database if database.startswith("sqlite") else database.replace("@", f":{ASKED}@", 1)


def _id(database: str, *names: str) -> str:
    return str(uuid.uuid5(OURS, "\n".join((database, *names))))


def _database(database: str, address: str) -> dict[str, Any]:
    return {
        # Superset has one of each name.
        "database_name": f"Shelfwise {re.split('://(?:[^@]*@)?', database, maxsplit=1)[1]}",
        "sqlalchemy_uri": address,
        "expose_in_sqllab": True,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_run_async": False,
        "extra": {},
        "uuid": _id(database),
        "version": VERSION,
    }


def _dataset(database: str, view: View) -> dict[str, Any]:
    return {
        "table_name": view.name,
        "description": view.meaning,
        "schema": None if database.startswith("sqlite") else SCHEMA,
        "main_dttm_col": "as_of",
        "columns": [_column(field) for field in view.fields],
        "metrics": [{"metric_name": "count", "verbose_name": "Rows", "expression": "COUNT(*)"}],
        "uuid": _id(database, view.name),
        "database_uuid": _id(database),
        "version": VERSION,
    }  # fmt: skip


def _column(field: Field) -> dict[str, Any]:
    return {
        "column_name": field.name,
        "verbose_name": label(field.name),
        "description": field.comment,
        "type": TYPES[field.kind],
        "is_dttm": field.kind in ("date", "moment"),
        "groupby": True,
        "filterable": True,
        "is_active": True,
    }


def _metric(measure: Measure) -> dict[str, Any]:
    return {"expressionType": "SQL", "sqlExpression": measure.sql, "label": measure.label,
            "hasCustomLabel": True}  # fmt: skip


def _chart(database: str, question: Question) -> dict[str, Any]:
    return {
        "slice_name": question.title,
        "description": question.meaning,
        "viz_type": KINDS[question.shape],
        "params": _params(question),
        "query_context": json.dumps(_query(question)),
        "uuid": _id(database, "chart", question.name),
        "dataset_uuid": _id(database, question.view),
        "version": VERSION,
    }


def _params(question: Question) -> dict[str, Any]:
    """What the chart is drawn by."""
    by, ascending = question.ordering if question.by else ("", True)
    given: dict[str, Any] = {
        "viz_type": KINDS[question.shape],
        "adhoc_filters": [
            {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": question.where}
        ] if question.where else [],
        "row_limit": question.limit,
        "color_scheme": "supersetColors",
    }  # fmt: skip
    metrics = [_metric(measure) for measure in question.measures]
    if question.shape == "number":
        unit = FORMATS[question.measures[0].unit]
        return given | {"metric": metrics[0], "y_axis_format": unit}
    if question.shape == "table":
        formats = {
            field.name: {"d3NumberFormat": FORMATS[UNITS[field.unit]]}
            for field in question.columns if field.unit in UNITS
        }  # fmt: skip
        return given | {
            "query_mode": "raw",
            "all_columns": list(question.by),
            "order_by_cols": [json.dumps([by, ascending])],
            "column_config": formats,
            "table_timestamp_format": "%Y-%m-%d",
        }
    given |= {
        "x_axis": question.by[0],
        "metrics": metrics,
        "groupby": [],
        "show_legend": len(metrics) > 1,
        "rich_tooltip": True,
        "y_axis_format": FORMATS[question.measures[0].unit],
        "x_axis_title": label(question.by[0]),
        "x_axis_title_margin": 30,
        "truncateXAxis": False,
    }
    if question.shape == "lines":
        return given | {"time_grain_sqla": "P1D", "markerEnabled": True}
    return given | {
        "xAxisForceCategorical": True,
        "x_axis_sort": by,
        "x_axis_sort_asc": ascending,
        "timeseries_limit_metric": metrics[0],
        "order_desc": True,
    }


def _query(question: Question) -> dict[str, Any]:
    """What is asked for a chart outside a browser, as for a report by mail."""
    by, ascending = question.ordering if question.by else ("", True)
    metrics = [_metric(measure) for measure in question.measures]
    ordered: Any = next((one for one in metrics if one["label"] == by), by)
    return {
        "datasource": {"id": 0, "type": "table"},  # The import puts its own number there.
        "force": False,
        "queries": [{
            "columns": list(question.by),
            "metrics": metrics or None,
            "orderby": [[ordered, ascending]] if by else [],
            "row_limit": question.limit,
            "extras": {"where": f"({question.where})" if question.where else "", "having": ""},
            "filters": [],
        }],
        "result_format": "json",
        "result_type": "full",
    }  # fmt: skip


def _dashboard(database: str) -> dict[str, Any]:
    grid: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
        "GRID_ID": {"id": "GRID_ID", "type": "GRID", "parents": ["ROOT_ID"], "children": []},
        "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": TITLE}},
    }
    for number, questions in enumerate(rows(), 1):
        row = f"ROW-{number}"
        grid["GRID_ID"]["children"].append(row)
        names = [f"CHART-{question.name}" for question in questions]
        grid[row] = {
            "id": row,
            "type": "ROW",
            "parents": ["ROOT_ID", "GRID_ID"],
            "children": names,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for name, question in zip(names, questions, strict=True):
            meta = {
                "uuid": _id(database, "chart", question.name),
                "chartId": 0,  # The import puts its own number there.
                "sliceName": question.title,
                "width": question.width,
                "height": question.height * 6,
            }
            grid[name] = {"id": name, "type": "CHART", "children": [],
                          "parents": ["ROOT_ID", "GRID_ID", row], "meta": meta}  # fmt: skip
    return {
        "dashboard_title": TITLE,
        "description": ABOUT,
        "slug": None,
        "uuid": _id(database, "dashboard"),
        "position": grid,
        "metadata": {"label_colors": TIER_COLORS, "color_scheme": "supersetColors",
                     "cross_filters_enabled": True},
        "published": True,
        "version": VERSION,
    }  # fmt: skip
