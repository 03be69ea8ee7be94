"""Query parameters of the endpoints, by name; the document and the checks are made of them."""

from typing import Any, get_args

from shelfwise.cells import OnError
from shelfwise.insights.decisions import ACTIONS
from shelfwise.model import TIERS, Tiering
from shelfwise.pipeline.features import FLAGS
from shelfwise.pipeline.totals import ABC
from shelfwise.profile import PROFILES
from shelfwise.sales.labels import TRENDS
from shelfwise.service.contract import JOB, REFERENCE, parameter
from shelfwise.service.tokens import TOKEN
from shelfwise.store.opinions import VERDICTS
from shelfwise.store.query import FILTERS

SWITCH = {"type": "string", "enum": ["0", "1"]}

PAGE = {
    "limit": parameter("How many at most.", type="integer", minimum=1, maximum=1_000),
    "after": parameter(
        "What `next` of the page before said.", type="string", pattern="^[0-9a-zA-Z_-]{1,64}$"
    ),
}
"""Query parameters of lists that grow."""

JOBS = PAGE | {
    "after": parameter(
        "What `next` of the page before said.", type="string", pattern=f"^[0-9]{{13}}-{JOB}$"
    ),
}
"""Query parameters of the list of jobs."""

ROWS = PAGE | {
    "after": parameter(
        "What `next` of the page before said.", type="integer", minimum=0, maximum=2_000_000_000
    ),
}
"""Query parameters of rows that stay as they are."""

_DETAIL = {
    "explain": parameter("1 adds contributions, percentile, ABC class, to_high.", **SWITCH),
    "precision": parameter(
        "short: money and scores at 2 decimals, ratios at 6; full: everything.",
        type="string", enum=["short", "full"],
    ),
}  # fmt: skip

_VALUES = {
    "tier": list(TIERS), "tier_in_group": list(TIERS), "cluster": list(TIERS),
    "abc_class": list(ABC.values()), "trend": list(TRENDS), "action": list(ACTIONS),
}  # fmt: skip

PRODUCTS: dict[str, dict[str, Any]] = {
    "search": parameter("A part of the name or the id, without case.", type="string"),
    **{
        name: parameter(
            f"Only products whose {column} this is.", type="string",
            **({"enum": _VALUES[name]} if name in _VALUES else {}),
        )
        for name, column in FILTERS.items()
    },
    "flag": parameter("Only products with this flag.", type="string", enum=list(FLAGS)),
    "overridden": parameter("1 leaves products whose tier people have set.", **SWITCH),
    "sort": parameter(
        "A column; with - before it the largest first. By rank if not given.", type="string"
    ),
    **ROWS,
    **_DETAIL,
    "raw": parameter("1 leaves cells of CSV that look like formulas.", **SWITCH),
    **TOKEN,
}  # fmt: skip
"""Query parameters of the products of a run."""

DERIVED: dict[str, dict[str, Any]] = {
    "product_id": parameter("Only this product.", type="string", maxLength=255),
    "category": parameter("Only this category.", type="string", maxLength=255),
    "trend": parameter("Only this trend.", type="string", enum=list(TRENDS)),
    "supplier": parameter("Only this supplier.", type="string", maxLength=255),
    "action": parameter("Only this decision.", type="string", enum=list(ACTIONS)),
    "verdict": parameter("Only what was answered so.", type="string", enum=list(VERDICTS)),
    "sort": parameter(
        "A column; with - before it the largest first. By id if not given.", type="string"
    ),
    **ROWS,
    "raw": parameter("1 leaves cells of CSV that look like formulas.", **SWITCH),
    **TOKEN,
}
"""Query parameters of what is made of a run."""

SCORING: dict[str, dict[str, Any]] = {
    "profile": parameter("How to score.", type="string", enum=list(PROFILES)),
    "tiering": parameter(
        "quota: best fifth High, worst fifth Low; kmeans: the clusters.",
        type="string", enum=list(get_args(Tiering)),
    ),
    "model": parameter(
        "Score against a model that is kept: NAME, NAME@alias or NAME@3; or the id of the one "
        "that the server was started with.",
        type="string", pattern=f"^{REFERENCE}$",
    ),
    "period_days": parameter(
        "Days that the sales cover; adds units_per_day.", type="number", minimum=1, maximum=36600
    ),
    "on_error": parameter(
        "reject lists every bad row and scores nothing; skip scores the others; repair first "
        "mends what is certainly meant.",
        type="string", enum=list(get_args(OnError)),
    ),
    "extra": parameter(
        "keep gives unknown keys back; drop counts them in a warning.",
        type="string", enum=["drop", "keep"],
    ),
    **_DETAIL,
    "dry_run": parameter("1 only checks the rows.", **SWITCH),
    "save": parameter("1 keeps the run; the answer then has its run_id.", **SWITCH),
    "label": parameter("With save=1: a name for the run.", type="string", maxLength=200),
    "raw": parameter("1 leaves cells of a CSV answer that look like formulas.", **SWITCH),
}  # fmt: skip
"""Query parameters of `POST /product-analysis`."""
