"""Writes docs/reference/ from the code; `--check` only says which page lags behind it."""

import difflib
import gzip
import inspect
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import typer

import shelfwise
from shelfwise import errors, tables
from shelfwise.cli import EXIT, app
from shelfwise.columns import COLUMNS, LINES, Column
from shelfwise.insights.decisions import ACTIONS
from shelfwise.insights.sections import QUESTIONS, Question
from shelfwise.metrics import METRICS
from shelfwise.pipeline.features import FLAGS
from shelfwise.profile import PROFILES
from shelfwise.rules import MARKS, Rules
from shelfwise.service import close, create_app
from shelfwise.service.headers import ANSWERED
from shelfwise.service.openapi import document
from shelfwise.service.problems import STATUS
from shelfwise.service.product_schemas import MEANINGS
from shelfwise.settings import SETTINGS, load_settings
from shelfwise.store.reporting import SCHEMA, VIEWS

FOLDER = Path(__file__).resolve().parent / "reference"

WARNINGS = {
    "best_sellers_low": "Products with most revenue are Low; how many `robust` would leave there.",
    "column_set_aside": "A mapped column took the name of another one, now called NAME_given.",
    "columns_matched": "Columns were recognized under other names, which are listed.",
    "constant_metric": "Every product has the same value of a metric; it counts 0 for all.",
    "csv_read_as": "A CSV file is separated by something else than commas, or not in UTF-8.",
    "effective_weights": "A metric moves the score by 0.15 more or less than its weight says.",
    "lines_left_out": "Order lines were not counted; the data-quality report says which.",
    "no_stock": "No stock column: sell-through is withheld, other weights are scaled up.",
    "outside_fitted_range": "Products lie outside the range that the model was fitted on.",
    "products_set_aside": "Products have no units or revenue left after returns: not scored.",
    "relative_scores": "Fewer than 5 products: scores compare products, so these say little.",
    "repaired": 'Values were put right by `on_error="repair"`; how many, by column.',
    "result_keys_ignored": "HTTP: the request brought keys that name a result; they were ignored.",
    "rows_skipped": "Rows were not scored; `rejected` says which and why.",
    "small_groups": "Products are in a group of fewer than 5; their tier there means little.",
    "ties_move_tiers": "Equal scores at a cut move the share of a tier by more than 5 points.",
    "unknown_keys_dropped": "HTTP: the request brought keys that the contract does not have.",
    "unstable_clusters": "Fewer than 10 products: one more or less may change every cluster.",
}
"""What each warning says; a test holds it complete against the source."""

REFUSALS = {
    "unknown_host": (400, "The Host header names a host that is not served."),
    "busy": (503, "As many reports are being made as may be at a time."),
    "bad_request": (400, "Content-Length is no number."),
    "key_needed_from_afar": (403, "Without a key only requests of this machine are served."),
    "key_needed": (401, "The key is missing or wrong, expired or revoked."),
    "form_expired": (403, "A form of the dashboard without the token of its session."),
    "sign_in_needed": (401, "A page of the dashboard, and nobody has signed in."),
    "cross_site": (403, "A page of another site made a browser send it, and no key is needed."),
    "scope_missing": (403, "The key lacks the scope that this endpoint needs."),
    "wrong_token": (403, "A signed address was changed, has expired, or its key has ended."),
    "too_many_requests": (429, "The key has used up the requests of this minute."),
    "undeclared_proxy": (403, "A forwarding header came, and no proxy is declared."),
    "not_acceptable": (406, "No medium that Accept names can be written."),
    "bad_idempotency_key": (422, "The Idempotency-Key is empty, too long, or has odd letters."),
    "idempotency_key_reused": (422, "The Idempotency-Key came with another request before."),
    "still_running": (409, "The request with this Idempotency-Key is still at work."),
    "unsupported_media_type": (415, "The body is of a medium or charset that nobody here reads."),
    "unsupported_encoding": (415, "The body is packed by something else than gzip."),
    "internal_error": (500, "A fault of the program; the log has it under the request id."),
    "draining": (503, "The server is stopping (`/readyz`)."),
}
"""Problems that are answered before any data is read; a test holds it complete."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").strip() for cell in line) + " |"
        for line in lines
    )


def code(value: object) -> str:
    """Text as code; nothing for nothing."""
    return f"`{value}`" if str(value) else ""


def number(value: float | None) -> str:
    """A limit, as short as it can be."""
    return "" if value is None else f"{value:g}"


def contract(columns: Iterable[Column]) -> str:
    """A table of columns."""
    rows = [
        (
            code(c.name), "yes" if c.required else "", c.kind, c.unit, number(c.low),
            number(c.high), c.meaning, c.unlocks, ", ".join(map(code, c.aliases)),
        )
        for c in columns
    ]  # fmt: skip
    head = [
        "Column",
        "Needed",
        "Kind",
        "Unit",
        "Least",
        "Most",
        "Meaning",
        "Unlocks",
        "Also read as",
    ]
    return table(head, rows)


def columns() -> str:
    texts = [c for c in COLUMNS if c.kind in ("id", "text") and c.required]
    lengths = ", ".join(f"{code(c.name)} {c.max_length:,}" for c in texts)
    return f"""# Columns
One row is one product.
Columns are recognized by name.
Next comes the name without case, blanks and punctuation, then the other names under Also.
Unlocks names what a column serves; some of that comes with later releases.

{contract(COLUMNS)}

Text has at most 255 characters where nothing else is said ({lengths}) and no control characters.
`stock` may be left out altogether in the library and on the command line; over HTTP it is needed.
A product_id that stands twice is refused, or with `location` the pair of both.
"""


def metrics() -> str:
    rows = [
        (code(m.name), m.label, " or ".join(map(code, m.formulas)), m.unit, m.better, m.meaning)
        for m in METRICS
    ]
    return f"""# Metrics
{table(("Metric", "Label", "Formula", "Unit", "Better", "Meaning"), rows)}

Of several formulas a product takes the first whose columns it has.
`a / b` is 0 where b is not above 0.
Formulas know `+ - * /`, parentheses and numbers.
They also know `min(a, b)`, `max(a, b)`, `abs(a)`, `sqrt(a)` and `log1p(a)`.
`sqrt` of a number below 0 is 0; `log1p` of a number below 0 is -log1p of its size.
"""


def profiles() -> str:
    parts = []
    for profile in PROFILES.values():
        rows = [(code(t.metric), f"{t.weight:.0%}", t.scaling, t.better) for t in profile.terms]
        parts.append(
            f"## {profile.name}\n{profile.description}\n"
            f"High {profile.high_share:.0%}, Low {profile.low_share:.0%}; a price of 0: "
            f"{profile.zero_price}.\n\n"
            + table(("Metric", "Weight", "Scaling", "Better"), rows)
            + "\n"
        )
    own = "[A profile of your own](../how-to/own-profile.md) is a TOML file."
    return f"# Profiles\n{own}\n\n" + "\n".join(parts)


def settings() -> str:
    defaults = {"data_dir": "`$XDG_DATA_HOME/shelfwise` or `~/.local/share/shelfwise`"}
    rows = []
    for s in SETTINGS:
        plain = "" if callable(s.default) or s.default in (None, "", ()) else code(s.default)
        also = f" Also from the file in `{s.variable}_FILE`." if s.secret else ""
        rows.append((code(s.variable), defaults.get(s.name, plain), s.help + also))
    return f"""# Settings
Settings are environment variables.
A value that does not fit, or a `SHELFWISE_` variable that is not listed here, stops the start.
`shelfwise settings` shows the values in force; secrets are shown as set or not set.

{table(("Variable", "Default", "Meaning"), rows)}
"""


def _first(mapping: dict[type[Any], int], kind: type[Any]) -> int:
    return next(value for base, value in mapping.items() if issubclass(kind, base))


def error_page() -> str:
    rows = []

    def walk(kind: type[errors.ShelfwiseError], depth: int) -> None:
        name = "&nbsp;&nbsp;" * depth + code(kind.__name__)
        meaning = inspect.getdoc(kind) or ""
        rows.append((name, code(kind.code), _first(STATUS, kind), _first(EXIT, kind), meaning))
        for child in sorted(kind.__subclasses__(), key=lambda c: c.__name__):
            if child.__module__ == errors.__name__:
                walk(child, depth + 1)

    walk(errors.ShelfwiseError, 0)
    refusals = [(code(name), status, meaning) for name, (status, meaning) in REFUSALS.items()]
    return f"""# Errors
Each error has a `message`, a `hint` and a `code` that never changes.
`InputError` also has `problems` (the first 50, each with a JSON pointer) and `count` (all).
Over HTTP the code stands in `type`, as `urn:shelfwise:problem:CODE`.

{table(("Error", "Code", "HTTP status", "Exit code", "Meaning"), rows)}

Exit code 0 is success, 2 a wrong command line.

## Refused before any data is read
{table(("Code", "HTTP status", "Meaning"), refusals)}

Unknown paths get 404 (`not_found`), wrong methods 405 (`method_not_allowed`) with `Allow`.
What the server refuses unseen by the application has the same shape; its `type` is `about:blank`.
That is 400, 408, 413, 431, 501; 507 where a body has no room; 401 for a large body without a key.
"""


def order_lines() -> str:
    marks = [
        (code(m.name), m.action, m.meaning, ", ".join(map(code, sorted(m.needs)))) for m in MARKS
    ]
    found = [(code(name), meaning) for name, meaning in FOUND.items()]
    rules = [(code(f.name), _shown(f.default)) for f in fields(Rules)]
    return f"""# Order lines
One row is one order line; each needs `unit_price` or `line_total`.
Names are recognized as those of [product columns](columns.md) are.

{contract(LINES)}

## Rules
Lines are marked in this order; one that is left out is marked once.
What is counted is part of the sums, what is told changes nothing.

{table(("Mark", "Done", "Meaning", "Reads"), marks)}

Beside these the report knows:

{table(("Found", "Meaning"), found)}

## Settings of the rules
Fields of `Rules`, keys of a file for `--rules`.

{table(("Rule", "Default"), rules)}
"""


def warehouse() -> str:
    parts = []
    for name, columns, meaning in (
        ("NAME_rejected", tables.REJECTED, "What was not scored."),
        ("NAME_quality", tables.QUALITY, "What was found among order lines."),
    ):
        rows = [(code(n), str(kind), told) for n, (told, kind) in columns.items()]
        parts.append(
            f"## {name}\n{meaning}\n\n{table(('Column', 'Type', 'Meaning'), [*KEYS, *rows])}"
        )
    return f"""# Tables in a warehouse
`-o` with a table writes three: of [Spark](../how-to/spark.md), or of a
[database](../how-to/large-files.md).
`NAME` itself has `run_id`, `as_of`, the given columns and those of scored products.

{chr(10).join(f"{part}{chr(10)}" for part in parts)}"""


def views() -> str:
    parts = []
    for view in VIEWS:
        rows = [(code(f.name), f.kind, f.unit, f.meaning) for f in view.fields]
        head = ("Column", "Type", "Unit", "Meaning")
        parts.append(f"## {view.name}\n{view.meaning}\n\n{table(head, rows)}\n")
    return f"""# Views for other tools
`shelfwise publish` fills them ([how](../how-to/connect.md)).
In PostgreSQL they stand in the schema `{SCHEMA}`, with these texts as comments.
In SQLite they have the same names; days are texts there, and true is 1.
A column is empty where the run does not know it.
Columns may come to the end of a view; none goes, and none changes its meaning.
What must change gets views that begin with v2, and these stay.

{chr(10).join(parts)}"""


KEYS = [
    ("`run_id`", "String", "the run that made the row: 32 digits, the same in all three tables"),
    ("`as_of`", "Date", "the day that the run speaks of"),
]

FOUND = {
    "unreadable": "Lines that break the contract: left out, and refused above max_rejected.",
    "outside_the_period": "Lines of days that were not asked for: left out.",
    "names_differ": "Products whose lines have several names; most sales decide.",
    "duplicate": "Lines that stand more than once, where asked for: counted.",
    "case_variants": "Ids that differ only in their case; each is a product of its own.",
    "not_in_catalogue": "Products sold that the catalogue does not have: counted.",
    "nothing_left": "Products without units or revenue after returns: not scored.",
}


def decisions() -> str:
    actions = table(("Action", "Meaning"), [(code(n), told) for n, told in ACTIONS.items()])
    parts = [_question(question) for question in QUESTIONS.values()]
    return f"""# Decisions
Each section has a row a product (or supplier); a row with an `action` is a decision.
Where an input is missing the column is empty, and the section says what it needs.

{actions}

{chr(10).join(parts)}"""


def _question(question: Question) -> str:
    columns = [
        (code(c.name), c.unit, c.meaning, code(c.formula) if c.formula else "", c.source)
        for c in question.columns
    ]
    defaults = msgspec.to_builtins(question.policy())
    about = msgspec.json.schema(question.policy)["$defs"][question.policy.__name__]["properties"]
    settings = [
        (code(name), code(json.dumps(value)), about[name].get("description", ""))
        for name, value in defaults.items()
    ]
    beside = ", ".join(map(code, question.tables))
    return f"""## {question.name}
{question.asks}{f" It takes {beside} beside the products." if beside else ""}

{table(("Column", "Unit", "Meaning", "Formula", "Source"), columns)}

Settings, for `--policy`, `--set` and `policy` over HTTP:

{table(("Setting", "Default", "Meaning"), settings)}
"""


def _shown(value: object) -> str:
    return ", ".join(map(code, value)) if isinstance(value, tuple) else code(value)


def flags_and_warnings() -> str:
    return f"""# Flags and warnings
A flag marks one product, a warning the whole analysis.

## Flags
{table(("Flag", "Meaning"), [(code(name), meaning) for name, meaning in FLAGS.items()])}

## Warnings
{table(("Code", "Meaning"), [(code(name), meaning) for name, meaning in sorted(WARNINGS.items())])}
"""


def api() -> str:
    contract = document()
    always = {h.name for h in ANSWERED if h.name.startswith(("X-Request", "RateLimit"))}
    parts = [
        "# API\nThe same contract as `/openapi.json`, in short.\n",
        "## Headers of answers\n"
        + table(("Header", "Meaning"), [(code(h.name), h.meaning) for h in ANSWERED])
        + "\n\n`X-Request-ID` comes always, `RateLimit-*` wherever requests are counted.\n"
        "Where the others come stands below.\n",
    ]
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n{operation['summary']}")
            if "description" in operation:
                parts[-1] += "\n" + operation["description"].replace(". ", ".\n")
            if parameters := operation.get("parameters"):
                rows = [
                    (code(p["name"]), _values(p["schema"]), p["description"]) for p in parameters
                ]
                parts.append("\n" + table(("Parameter", "Values", "Meaning"), rows))
            rows = [
                (
                    code(s),
                    r["description"],
                    ", ".join(code(h) for h in r["headers"] if h not in always),
                )
                for s, r in operation["responses"].items()
            ]
            parts.append("\n" + table(("Status", "Meaning", "Headers"), rows) + "\n")
    scored = contract["components"]["schemas"]["ScoredProduct"]
    given = contract["components"]["schemas"]["Product"]["properties"]
    results = [
        (code(name), "yes" if name in scored["required"] else "",
         schema.get("description") or MEANINGS.get(name, ""))
        for name, schema in scored["properties"].items() if name not in given
    ]  # fmt: skip
    parts.append(
        "## What a product gets\nThe input of a product comes back as it came, and with it:\n\n"
        + table(("Key", "Always", "Meaning"), results)
    )
    return "\n".join(parts) + "\n"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']:,}"
    return schema["type"]


def command_line() -> str:
    group = typer.main.get_command(app)
    parts = [f"# Command line\n{app.info.help}\n`shelfwise --version` shows the version.\n"]
    for name, command in _commands(group):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
        usage = " ".join([f"shelfwise {name}", *(p.name.upper() for p in arguments)])
        usage += " [OPTIONS]" if options else ""
        parts.append(f"## {name}\n{command.help}\n\n```sh\n{usage}\n```\n")
        rows = [(code(p.name.upper()), "", p.help) for p in arguments]
        rows += [(", ".join(map(code, p.opts)), _default(p), p.help) for p in options]
        if rows:
            parts.append(table(("Argument or option", "Default", "Meaning"), rows) + "\n")
    codes = {0: "Success", 2: "A wrong command line"}
    for kind, value in EXIT.items():
        codes[value] = f"{codes[value]}, " if value in codes else ""
        codes[value] += code(kind.__name__)
    parts.append("## Exit codes\n" + table(("Code", "Meaning"), sorted(codes.items())) + "\n")
    parts.append("What each error means: [errors](errors.md).\n")
    return "\n".join(parts)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name; those of a group stand under the group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _default(option: Any) -> str:
    return "" if option.is_flag or option.default is None else code(option.default)


def python() -> str:
    parts = ["# Python\nWhat `import shelfwise` gives; the rest may change without notice.\n"]
    for name in shelfwise.__all__:
        value = getattr(shelfwise, name)
        if not callable(value):
            page = {"COLUMNS": "columns", "METRICS": "metrics", "PROFILES": "profiles"}[name]
            parts.append(f"## {name}\nThe data behind [{page}]({page}.md).\n")
            continue
        is_error = isinstance(value, type) and issubclass(value, Exception)
        shown = name if isinstance(value, type) else f"{name}{_signature(value)}"
        signature = "" if shown == name else f"```py\n{shown}\n```\n"
        parts.append(f"## {name}\n{signature}{_paragraph(value)}\n")
        members = [] if is_error or not isinstance(value, type) else _members(value)
        if members:
            parts.append(table(("Member", "Meaning"), members) + "\n")
    return "\n".join(parts)


def _signature(function: Any) -> str:
    parameters = inspect.signature(function).parameters.values()
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(plain))


def _paragraph(value: Any) -> str:
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(text.split())


def _members(kind: type) -> list[tuple[str, str]]:
    found = []
    for name, member in vars(kind).items():
        target = getattr(member, "func", None) or getattr(member, "fget", None) or member
        target = getattr(target, "__func__", target)
        if name.startswith("_") or not callable(target) or not inspect.getdoc(target):
            continue
        method = inspect.isfunction(member) or isinstance(member, classmethod)
        found.append((code(f"{name}()" if method else name), _paragraph(target)))
    return found


GOOD = '{"product_id":1,"name":"a","price":2,"units_sold":3,"stock":4}'


def _body(*changes: tuple[str, str]) -> bytes:
    """An array with one good product, changed."""
    product = GOOD
    for old, new in changes:
        product = product.replace(old, new)
    return f"[{product}]".encode()


BAD_BODIES: tuple[tuple[str, bytes], ...] = (
    ("nothing", b""),
    ("text that is no JSON", b"[oops]"),
    ("something after the array", b"[] x"),
    ("NaN", b"[NaN]"),
    ("lines of JSON", b'{"a":1}\n{"a":2}'),
    ("invalid UTF-8", b'[{"name":"\xff"}]'),
    ("UTF-16", "[]".encode("utf-16")),
    ("half a character", rb'[{"name":"\ud800"}]'),
    ("200,000 opening brackets", b"[" * 200_000),
    ("an object", b"{}"),
    ("an empty array", b"[]"),
    ("a number for a product", b"[1]"),
    ("a price of 1e400", _body((":2", ":1e400"))),
    ("a price of 0", _body((":2", ":0"))),
    ("a price as text", _body((":2", ':"2"'))),
    ("true for units sold", _body((":3", ":true"))),
    ("stock below 0", _body((":4", ":-4"))),
    ("null", _body((":4", ":null"))),
    ("a missing key", _body((',"stock":4', ""))),
    ("an id of 2^63", _body(('"product_id":1', f'"product_id":{2**63}'))),
    ("a NUL in a name", _body(('"a"', rb'"\u0000"'.decode()))),
    ("a name of 1,001 characters", _body(('"a"', '"' + "a" * 1001 + '"'))),
    ('1 and "1" as ids', _body(("}", "}," + GOOD.replace(":1", ':"1"')))),
    ("nothing stocked, nothing sold", _body((":3", ":0"), (":4", ":0"))),
    ("3.7 units", _body((":3", ":3.7"))),
)


HEAD = b"product_id,name,price,units_sold,stock\n"
AN_ARRAY = f"[{GOOD}]".encode()
JSON, CSV = "application/json", "text/csv"
PARQUET = "application/vnd.apache.parquet"

BAD_REQUESTS: tuple[tuple[str, str, str, bytes, dict[str, str]], ...] = (
    ("no Content-Type", "POST", "/product-analysis", AN_ARRAY, {"Content-Type": ""}),
    ("text/plain", "POST", "/product-analysis", AN_ARRAY, {"Content-Type": "text/plain"}),
    ("JSON in Latin-1", "POST", "/product-analysis", AN_ARRAY,
     {"Content-Type": f"{JSON}; charset=latin-1"}),
    ("gzip that is cut short", "POST", "/product-analysis", gzip.compress(AN_ARRAY, mtime=0)[:-9],
     {"Content-Encoding": "gzip"}),
    ("another encoding", "POST", "/product-analysis", AN_ARRAY, {"Content-Encoding": "br"}),
    ("10 MB in 10 KB of gzip", "POST", "/product-analysis", gzip.compress(b" " * 10**7, mtime=0),
     {"Content-Encoding": "gzip"}),
    ("more bytes than a job may have", "POST", "/product-analysis", b" " * 5_000, {}),
    ("more rows than are scored at once", "POST", "/product-analysis?dry_run=1",
     b"[" + b",".join([GOOD.encode()] * 30) + b"]", {}),
    ("an array as lines of JSON", "POST", "/product-analysis", b"[{}]",
     {"Content-Type": "application/x-ndjson"}),
    ("CSV with a cell too many", "POST", "/product-analysis", HEAD + b"1,a,2,3,4,5\n",
     {"Content-Type": CSV}),
    ("CSV with an open quote", "POST", "/product-analysis", HEAD + b'1,"a,2,3,4\n',
     {"Content-Type": CSV}),
    ("CSV in UTF-16", "POST", "/product-analysis", HEAD.decode().encode("utf-16"),
     {"Content-Type": CSV}),
    ("CSV with semicolons, in Windows-1252", "POST", "/product-analysis",
     HEAD.replace(b",", b";") + b"1;Caf\xe9;2;3;4\n", {"Content-Type": CSV}),
    ("no Parquet", "POST", "/product-analysis", b"nonsense", {"Content-Type": PARQUET}),
    ("no Arrow", "POST", "/product-analysis", b"nonsense",
     {"Content-Type": "application/vnd.apache.arrow.stream"}),
    ("a parameter that nobody knows", "POST", "/product-analysis?colour=red", AN_ARRAY, {}),
    ("a parameter twice", "POST", "/product-analysis?raw=1&raw=0", AN_ARRAY, {}),
    ("a medium that nobody writes", "POST", "/product-analysis", AN_ARRAY,
     {"Accept": "image/png"}),
    ("a wrong key", "POST", "/product-analysis", AN_ARRAY, {"X-API-Key": "wrong"}),
    ("no key", "GET", "/v1/runs", b"", {"X-API-Key": ""}),
    ("a path that is not there", "GET", "/products", b"", {}),
    ("a method that does not fit", "GET", "/product-analysis", b"", {}),
    ("dots in an id", "GET", "/v1/runs/..%2F..%2Fetc", b"", {}),
    ("a NUL in an id", "GET", "/v1/runs/%00", b"", {}),
    ("a run that is not there", "GET", "/v1/runs/unknown", b"", {}),
    ("an Idempotency-Key with a blank", "POST", "/product-analysis", AN_ARRAY,
     {"Idempotency-Key": "a b"}),
    ("a file outside the places that are open", "POST", "/v1/runs",
     b'{"source": {"place": "/etc/passwd"}}', {}),
    *(
        (what, "POST", "/v1/schedules",
         f'{{"name": "a", "cron": "daily 6:00", "deliver": [{{"webhook": "{url}"}}]}}'.encode(), {})
        for what, url in (
            ("a webhook to this machine", "https://127.0.0.1/hook"),
            ("a webhook to a network inside", "https://10.0.0.1/hook"),
            ("a webhook to an address inside, written as IPv6", "https://[::ffff:10.0.0.1]/hook"),
            ("a webhook to the data of a cloud's machine", "https://169.254.169.254/latest"),
            ("a webhook that is a file", "file:///etc/passwd"),
            ("a webhook in plain text", "http://hooks.shop.example/hook"),
        )
    ),
    ("a report into a folder that is not open", "POST", "/v1/schedules",
     b'{"name": "a", "cron": "monday 06:00", "deliver": [{"folder": "/etc"}]}', {}),
    ("a mail where no server is set", "POST", "/v1/schedules",
     b'{"name": "a", "cron": "monday 06:00", "deliver": [{"mail": ["a@shop.example"]}]}', {}),
    ("a signed address that was changed", "GET", "/v1/runs/latest/products.csv?token=1.here.A",
     b"", {}),
    ("an Excel file that is none", "POST", "/v1/uploads", b"nonsense",
     {"Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}),
)  # fmt: skip

ELSEWHERE = (
    ("gzip bombs, and the memory they take", 413,
     "tests/service/test_bad_input.py::test_a_gzip_bomb_takes_little_memory"),
    ("chunked bodies over the limit", 413,
     "tests/service/test_bad_input.py::test_a_chunked_body_over_the_limit_is_refused_and_never_cut"),
    ("Excel files with macros or entities, and those that unpack to too much", "413, 415, 422",
     "tests/service/test_v1_jobs.py::test_uploads_that_do_not_fit_are_refused_and_not_kept"),
    ("damaged Parquet and Arrow files, and bombs", "413, 422",
     "tests/service/test_media.py::test_files_that_do_not_fit_are_refused"),
    ("60 slow and 200 dripping clients", "closed",
     "tests/service/test_server.py::test_slow_clients_do_not_slow_a_normal_one"),
    ("what the server answers before the application sees a request", "400, 413, 431, 501",
     "tests/service/test_server.py::test_refuses_with_a_problem_document"),
    ("an Idempotency-Key with another body, or while the first is at work", "422, 409",
     "tests/service/test_v1_runs.py::test_a_request_with_a_key_is_done_once"),
    ("keys that are expired, revoked or lack the scope", "401, 403",
     "tests/service/test_v1_models.py::test_keys_open_what_their_scopes_say"),
    ("signed addresses that are expired, or whose key is revoked", 403,
     "tests/service/test_v1_deliveries.py::test_an_address_ends_with_its_days_and_with_its_key"),
    ("a webhook whose name leads elsewhere when it is called", "refused",
     "tests/delivery/test_sending.py::"
     "test_the_address_that_was_looked_at_is_the_one_connected_to"),
    ("more requests than the rate allows", 429,
     "tests/service/test_v1_models.py::test_the_rate_of_requests_is_limited_for_each_key"),
    ("more products than a job may have, as Parquet or Arrow", 413,
     "tests/service/test_v1_jobs.py::test_more_rows_than_a_job_may_have_are_refused_unread"),
    ("a job where as many wait as may", 503,
     "tests/service/test_v1_jobs.py::test_a_full_queue_takes_no_more_and_says_when_to_ask_again"),
    ("a full disk", 507,
     "tests/service/test_trouble.py::test_a_full_disk_is_said_and_leaves_nothing_half_written"),
    ("a database that is away", 503,
     "tests/service/test_trouble.py::test_a_database_goes_away_and_comes_back"),
    ("names such as &lt;script&gt; and =cmd", 200,
     "tests/service/test_bad_input.py::test_hostile_names_come_back_as_they_are"),
)  # fmt: skip
"""What takes more than one request to show: sent, status, and the test that does."""


def bad_input() -> str:
    client = create_app(load_settings({})).test_client()
    rows = [
        _answered(what, client.post("/product-analysis", data=body, content_type=JSON))
        for what, body in BAD_BODIES
    ]
    with tempfile.TemporaryDirectory() as folder:
        limits = {"max_body_bytes": 4_000, "max_upload_bytes": 4_000, "max_rows": 20,
                  "max_upload_rows": 20, "api_key": "k" * 43, "data_dir": Path(folder)}  # fmt: skip
        app = create_app(load_settings({}, **limits))
        client = app.test_client()
        requests = []
        for what, method, path, body, headers in BAD_REQUESTS:
            given = {"Content-Type": JSON, "X-API-Key": "k" * 43} | headers
            given = {name: text for name, text in given.items() if text}
            sent = client.open(path, method=method, data=body, headers=given)
            requests.append(_answered(what, sent))
        close(app)
    return (
        "# Bad input\n"
        "What the API answers, each line of the first two tables from a real request.\n"
        "The tests send these and many more, through the test client and through a real server.\n"
        "The codes are in [errors](errors.md).\n\n"
        "## Bodies of JSON\n"
        + table(("sent", "status", "pointer", "detail"), rows)
        + "\n\n## Other requests\n"
        "A server that takes 4,000 bytes and 20 rows, at once and as jobs.\n\n"
        + table(("sent", "status", "pointer", "detail"), requests)
        + "\n\n## What takes more than one request to show\n"
        + table(("sent", "answer", "test"),
                [(what, status, code(test)) for what, status, test in ELSEWHERE])
    )  # fmt: skip


def _answered(what: str, answer: Any) -> tuple[object, ...]:
    """What was sent, the status, and the first error, or what a success says."""
    found = answer.get_json() or {}
    said = "; ".join(one["message"] for one in found.get("warnings", ())
                     if one["code"] == "csv_read_as")  # fmt: skip
    errors = found.get("errors") or [
        {"pointer": "", "detail": found.get("detail") or said or "scored"}
    ]
    detail = errors[0]["detail"].replace("|", "\\|").replace("<", "&lt;")
    return what, answer.status_code, errors[0]["pointer"], detail


PAGES = {
    "bad-input.md": bad_input,
    "columns.md": columns,
    "order-lines.md": order_lines,
    "metrics.md": metrics,
    "profiles.md": profiles,
    "settings.md": settings,
    "errors.md": error_page,
    "flags-and-warnings.md": flags_and_warnings,
    "api.md": api,
    "cli.md": command_line,
    "python.md": python,
    "tables.md": warehouse,
    "decisions.md": decisions,
    "views.md": views,
}


def pages() -> dict[str, str]:
    """File name -> what it must hold."""
    return {name: make().rstrip() + "\n" for name, make in PAGES.items()}


def lagging() -> list[str]:
    """For each page that is not up to date its name and the first line that differs."""
    found = []
    for name, text in pages().items():
        path = FOLDER / name
        now = path.read_text(encoding="utf-8") if path.exists() else ""
        if now != text:
            diff = difflib.unified_diff(now.splitlines(), text.splitlines(), lineterm="", n=0)
            line = next((x for x in diff if x[0] in "+-" and x[:3] not in ("+++", "---")), "")
            found.append(f"docs/reference/{name}: {line}")
    return found


def main() -> None:
    if "--check" in sys.argv[1:]:
        if found := lagging():
            sys.exit("\n".join([*found, "Run `make docs`."]))
        return
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
