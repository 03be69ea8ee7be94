"""Where reports may go: what a target says, and whether the settings allow it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from shelfwise.delivery import webhook
from shelfwise.errors import InputError, Problem, excerpt
from shelfwise.settings import MAILBOX, Settings
from shelfwise.store.deliveries import KINDS, place_of

Format = Literal["pdf", "html", "xlsx", "csv"]
FORMATS: dict[Format, str] = {
    "pdf": "application/pdf",
    "html": "text/html",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
"""What can be delivered: the report, and as csv its products."""
MOST_TARGETS, MOST_RECIPIENTS = 20, 50
PLAIN = "^[^\\x00-\\x1f\\x7f]*$"
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=PLAIN)]

Recipients = Annotated[list[Place], msgspec.Meta(min_length=1, max_length=MOST_RECIPIENTS)]
Formats = Annotated[list[Format], msgspec.Meta(min_length=1, max_length=len(FORMATS))]


class Target(msgspec.Struct, forbid_unknown_fields=True):
    """Where a report goes: into a folder, by mail to some people, or to a webhook."""

    folder: Place | UnsetType = UNSET
    mail: Recipients | UnsetType = UNSET
    webhook: Place | UnsetType = UNSET
    formats: Formats | UnsetType = UNSET


OneTarget = Annotated[Target, msgspec.Meta(
    extra_json_schema={"oneOf": [{"required": [kind]} for kind in KINDS]})]  # fmt: skip
Targets = Annotated[list[OneTarget], msgspec.Meta(max_length=MOST_TARGETS)]


def checked(
    targets: Sequence[Target], settings: Settings, pointer: str = "/deliver"
) -> list[dict[str, Any]]:
    """The targets as a delivery carries them; InputError names each that may not be reached."""
    found, problems = [], []
    for place, target in enumerate(targets):
        try:
            found.append(_checked(target, settings))
        except InputError as error:
            problems.append(Problem(f"{pointer}/{place}", str(error)))
    if problems:
        raise InputError(problems[0].detail, "", tuple(problems))
    places = [place_of(target) for target in found]
    for place, one in enumerate(places):
        if one in places[:place]:  # A report goes to a place once, whatever its formats.
            detail = "The same target stands there before; it may have several formats."
            raise InputError(detail, "", (Problem(f"{pointer}/{place}", detail),))
    return found


def _checked(target: Target, settings: Settings) -> dict[str, Any]:
    given = [kind for kind in KINDS if getattr(target, kind) is not UNSET]
    if len(given) != 1:
        raise InputError("A target has one of folder, mail and webhook.", "Several are several.")
    if target.webhook is not UNSET:
        if target.formats is not UNSET:
            raise InputError("A webhook gets JSON, no files.", "Leave formats out.")
        webhook.must_fit(str(target.webhook), settings.webhook_allow)
        return {"webhook": target.webhook}
    formats = ["pdf"] if target.formats is UNSET else list(dict.fromkeys(target.formats))
    if target.folder is not UNSET:
        return {"folder": str(allowed_folder(str(target.folder), settings)), "formats": formats}
    recipients = [] if target.mail is UNSET else list(dict.fromkeys(target.mail))
    must_be_recipients(recipients, settings)
    return {"mail": recipients, "formats": formats}


def allowed_folder(place: str, settings: Settings) -> Path:
    """The folder, resolved; InputError where the settings do not open it.

    A folder opens what is in it, after links are followed.
    """
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", place):
        raise InputError("A folder is a path, no address.", "For a web address say webhook.")
    if not place.isprintable():
        raise InputError("The folder's name has letters that nobody sees.", "Write it anew.")
    path = Path(place).resolve()
    opened = [Path(one).resolve() for one in settings.delivery_folders]
    if not any(path == folder or folder in path.parents for folder in opened):
        raise InputError(
            "Nothing may be delivered to this folder.",
            "SHELFWISE_DELIVERY_FOLDERS lists the folders that may get reports.",
        )
    return path


def must_be_recipients(recipients: Sequence[str], settings: Settings) -> None:
    """InputError where mails cannot be sent from here, or not to one of these."""
    if not settings.smtp or not settings.mail_from:
        raise InputError(
            "No mail can be sent from here.",
            "Set SHELFWISE_SMTP, such as smtps://user:password@mail.shop.example:465, and "
            "SHELFWISE_MAIL_FROM.",
        )
    for one in recipients:
        if not re.fullmatch(MAILBOX, one):
            raise InputError(
                f"{excerpt(one)} is no mail address.", "For example buyer@shop.example."
            )
        domain = one.rpartition("@")[2].lower()
        if settings.mail_domains and domain not in settings.mail_domains:
            raise InputError(
                f"No mail may go to {excerpt(domain)}.",
                "SHELFWISE_MAIL_DOMAINS lists the domains that may get reports.",
            )


def shown(target: Mapping[str, Any], secret: str | None = None) -> dict[str, Any]:
    """A target as the API shows it; the whole address of a webhook only with its secret.

    Addresses of webhooks often let everybody in who knows them.
    """
    kind = next(kind for kind in KINDS if kind in target)
    value = target[kind]
    if kind == "webhook" and secret is None:
        value = webhook.shortened(value)
    return {"kind": kind, "to": value if isinstance(value, list) else [value],
            "formats": list(target.get("formats", ())), "secret": secret}  # fmt: skip


assert get_args(Format) == tuple(FORMATS)
