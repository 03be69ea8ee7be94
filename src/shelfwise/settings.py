"""The settings: names, defaults and meanings, declared once.

Each is read from the environment as `SHELFWISE_NAME`; a secret also from the file that
`SHELFWISE_NAME_FILE` names. A wrong value stops the start.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shelfwise.errors import SettingError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `parse` turns its text into a value or raises ValueError."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        return f"SHELFWISE_{self.name.upper()}"


def _count(text: str) -> int:
    value = int(text.replace("_", ""))
    if value < 1:
        raise ValueError("must be 1 or more")
    return value


def _whole(text: str) -> int:
    value = int(text.replace("_", ""))
    if value < 0:
        raise ValueError("must be 0 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError("must be a positive number of seconds")
    return value


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        found = re.fullmatch(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?", origin)
        if not found or found[3] == {"http": ":80", "https": ":443"}[found[1]]:
            raise ValueError(
                f"{origin[:60]!r} is no origin as browsers send it: http or https, a host in "
                "lower case, a port that is not the usual one, no path, no *"
            )
    return origins


def _key(text: str) -> str:
    if len(text) < 16:
        raise ValueError("must have at least 16 characters")
    return text


def _size(text: str) -> str:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)? ?([KMGT]i?B|%)", text, re.IGNORECASE):
        raise ValueError("must be a size such as 512MB, 2GB or 80%")
    return text


def _log(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError("must be text or json")
    return text


def _locale(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z0-9]{2,8})*", text):
        raise ValueError("must be a locale such as en_US")
    return text.replace("-", "_")


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise ValueError("must be three letters such as EUR")
    return text.upper()


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(?:([KMGT])(i?)B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise ValueError("must be a size such as 512MB or 2GiB, or 0")
    power = " KMGT".index((found[2] or " ").upper())
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def _places(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_ATOM, _LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
MAILBOX = (
    r"(?!.*=\?)(?=[^@]{1,64}@.{1,252}$)"  # What looks encoded would be decoded.
    rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
)
"""An address as mail servers take it everywhere: plain letters, no quotes, no blanks."""


def _mailbox(text: str) -> str:
    if not re.fullmatch(MAILBOX, text):
        raise ValueError("must be one plain address such as reports@shop.example")
    return text


def _smtp(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("smtp", "smtps") or not url.hostname or url.path.strip("/"):
        raise ValueError(
            "must be smtps://user:password@host:465, or smtp://... with STARTTLS on port 587"
        )
    if (url.username is None) != (url.password is None):
        raise ValueError("must have a user and a password, or neither")
    _ = url.port  # A wrong one raises.
    return text


def _reachable(text: str) -> tuple[str, ...]:
    found = _names(text)
    for one in found:
        if "/" in one:
            ipaddress.ip_network(one)  # It says what is wrong.
        elif not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", one):
            raise ValueError(f"{one[:60]!r} is no host name, address or network")
    return found


def _waits(text: str) -> tuple[str, ...]:
    found = _places(text)
    for one in found:
        _seconds(one)
    return found


def _public_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError("must be an address such as https://shelfwise.shop.example")
    return text.rstrip("/")


def _data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "shelfwise"


SETTINGS = (
    Setting("data_dir", _data_dir, Path, "Folder for what the program keeps, the local key first."),
    Setting(
        "database_url",
        "",
        str,
        "Database of runs and models; none: SQLite in the data folder.",
        secret=True,
    ),
    Setting("keep_runs", 0, _whole, "Runs to keep, the newest; 0: all. Pinned ones stay."),
    Setting("keep_days", 0, _whole, "Days to keep runs for; 0: for ever. Pinned ones stay."),
    Setting("keep_job_days", 30, _whole, "Days to keep jobs for that are over; 0: for ever."),
    Setting("secret_key", "", _key, "Key that signs saved models; made at first use.", secret=True),
    Setting("api_key", "", _key, "The key that a request must carry; none: no key.", secret=True),
    Setting("model", None, Path, "A saved model (.json or .joblib) to score against, no fit."),
    Setting("max_rows", 250_000, _count, "Rows that are scored at once; more become a job."),
    Setting("max_body_bytes", 32 * 2**20, _count, "Bytes in one request body, unpacked."),
    Setting("max_upload_rows", 10_000_000, _count, "Rows that a job may analyze; more fail."),
    Setting("max_upload_bytes", 2**30, _bytes, "Size of an upload, unpacked; more gets 413."),
    Setting("job_workers", 1, _count, "Jobs that one worker does at the same time."),
    Setting("max_queued", 1_000, _whole, "Jobs that may wait; more get 503. 0: any number."),
    Setting("job_seconds", 3600.0, _seconds, "Time that one job may take."),
    Setting("job_memory", 16 * 2**30, _bytes, "Address space of one job, such as 8GiB; 0: any."),
    Setting(
        "sources",
        (),
        _places,
        "Folders and URL beginnings that jobs over HTTP may read, with commas; none: uploads only.",
    ),
    Setting(
        "delivery_folders",
        (),
        _places,
        "Folders that reports may be delivered to, with commas; none: to no folder.",
    ),
    Setting(
        "smtp",
        "",
        _smtp,
        "Server for mails: smtps://user:password@host:465; smtp:// must offer STARTTLS.",
        secret=True,
    ),
    Setting("mail_from", "", _mailbox, "Address that mails come from."),
    Setting("mail_domains", (), _names, "Domains that mails may go to, with commas; none: any."),
    Setting(
        "webhook_allow",
        (),
        _reachable,
        "Hosts and networks inside that webhooks may reach, with commas; none: public ones only.",
    ),
    Setting(
        "delivery_waits",
        ("60", "300", "1800", "7200", "21600", "43200"),
        _waits,
        "Seconds to wait before each new try of a delivery, with commas.",
    ),
    Setting("public_url", "", _public_url, "Address of this service for people, in mails."),
    Setting("threads", 4, _count, "Requests worked on at the same time."),
    Setting("request_seconds", 60.0, _seconds, "Time a client has to send a whole request."),
    Setting("idle_seconds", 15.0, _seconds, "Time after which a silent connection is closed."),
    Setting("drain_seconds", 30.0, _seconds, "Time that running requests get after SIGTERM."),
    Setting("max_connections", 1000, _count, "Connections open at the same time."),
    Setting(
        "hosts",
        (),
        _names,
        "Host names served, with commas; none: all with a key, else loopback.",
    ),
    Setting(
        "cors_origins",
        (),
        _origins,
        "Origins whose pages may call, such as https://shop.example, with commas; none: no other.",
    ),
    Setting("behind_proxy", False, _flag, "A reverse proxy stands in front; needs an API key."),
    Setting("log", "text", _log, "text: what goes wrong; json: a line of JSON a request, too."),
    Setting("locale", "en_US", _locale, "How the dashboard writes numbers, such as de_DE."),
    Setting("currency", "", _currency, "ISO 4217 code of money whose products name none: EUR."),
    Setting("rate_limit", 0, _whole, "Requests a minute that one key may make; 0: any number."),
    Setting("duckdb_memory", "", _size, "Memory that DuckDB may take, such as 2GB; none: its own."),
    Setting("duckdb_folder", None, Path, "Folder that DuckDB spills to; none: beside the work."),
    Setting("coreset_rows", 5_000, _count, "Above this, clusters are fitted on a grid coreset."),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force; see SETTINGS for what each one means."""

    data_dir: Path
    database_url: str
    keep_runs: int
    keep_days: int
    keep_job_days: int
    secret_key: str
    api_key: str
    model: Path | None
    max_rows: int
    max_body_bytes: int
    max_upload_rows: int
    max_upload_bytes: int
    job_workers: int
    max_queued: int
    job_seconds: float
    job_memory: int
    sources: tuple[str, ...]
    delivery_folders: tuple[str, ...]
    smtp: str
    mail_from: str
    mail_domains: tuple[str, ...]
    webhook_allow: tuple[str, ...]
    delivery_waits: tuple[str, ...]
    public_url: str
    threads: int
    request_seconds: float
    idle_seconds: float
    drain_seconds: float
    max_connections: int
    hosts: tuple[str, ...]
    cors_origins: tuple[str, ...]
    behind_proxy: bool
    log: str
    locale: str
    currency: str
    rate_limit: int
    duckdb_memory: str
    duckdb_folder: Path | None
    coreset_rows: int

    def environment(self) -> dict[str, str]:
        """The same settings as variables, for a process that works for this one."""
        found = {}
        for setting in SETTINGS:
            value = getattr(self, setting.name)
            if isinstance(value, tuple):
                value = ",".join(value)
            if isinstance(value, bool):
                value = "true" if value else "false"
            found[setting.variable] = "" if value is None else str(value)
        return found


def load_settings(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read the settings; what is `given` wins over the environment.

    Raises SettingError for a value that cannot be read, and for a SHELFWISE_ variable
    that no setting has, which is nearly always a misspelling.

    >>> load_settings({"SHELFWISE_MAX_ROWS": "1_000"}).max_rows
    1000
    """
    environ = os.environ if environ is None else environ
    values = {setting.name: _value(setting, environ) for setting in SETTINGS}
    known = {s.variable for s in SETTINGS} | {f"{s.variable}_FILE" for s in SETTINGS if s.secret}
    known.add("SHELFWISE_TEST_DATA")
    for variable in environ:
        # Kubernetes names every service in every container's environment.
        injected = "_SERVICE_" in variable or variable.startswith("SHELFWISE_PORT")
        if variable.startswith("SHELFWISE_") and variable not in known and not injected:
            raise SettingError(
                f"{variable} is not a setting.", "`shelfwise settings` lists those that are."
            )
    return Settings(**(values | given))


def _value(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.variable, "")
    source = setting.variable
    file = environ.get(f"{setting.variable}_FILE", "") if setting.secret else ""
    if not text and file:
        source = f"{setting.variable}_FILE"
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
            if not text:
                raise SettingError(f"{source} names an empty file.", setting.help)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{source} names a file that cannot be read: {error}.") from error
    if not text:
        return setting.default() if callable(setting.default) else setting.default
    try:
        return setting.parse(text)
    except ValueError as error:
        shown = "the value" if setting.secret else repr(text)
        raise SettingError(f"{source}: {shown} does not fit: {error}.", setting.help) from error
