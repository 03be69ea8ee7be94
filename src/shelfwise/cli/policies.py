"""The settings of decisions, from a file and from --set."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import typer

from shelfwise.errors import InputError, NotFoundError

HOW = "Write it as a,b,c; what has a comma itself in double quotes."
HOW_PAIRS = "Write it as name=value,name=value; what has a comma itself in double quotes."


def settings_from(path: str | None, pairs: list[str] | None, policy: Any) -> dict[str, Any]:
    """The policy from a file, and what --set says instead; lists and pairs from text.

    `policy` is the struct that the settings are for: its types say what is a list.
    """
    settings: dict[str, Any] = {}
    if path:
        if not Path(path).is_file():
            raise NotFoundError(f"There is no file {path}.")
        try:
            settings = tomllib.loads(Path(path).read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is no TOML: {error}.") from error
    given: set[str] = set()
    for pair in pairs or []:
        name, found, value = pair.partition("=")
        if not found:
            raise typer.BadParameter(f"--set {pair!r}: write setting=value.")
        if name in given:
            raise typer.BadParameter(f"--set {name} is given twice. {HOW}")
        given.add(name)
        *groups, last = name.split(".")
        inside = settings
        for group in groups:
            inside = inside.setdefault(group, {})
            if not isinstance(inside, dict):
                raise typer.BadParameter(f"--set {pair!r}: {group} is no group of settings.")
        inside[last] = _read(name, value, policy)
    return settings


def _read(name: str, value: str, policy: Any) -> Any:
    """What a setting's text means: a list or pairs where its type is one, else the text."""
    from msgspec import inspect

    kind: Any = inspect.type_info(policy)
    for part in name.split("."):
        fields = {one.encode_name: one.type for one in getattr(kind, "fields", ())}
        kind = _bare(fields.get(part))
    if value == "null":
        return None
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return _parts(name, value, HOW)
    if isinstance(kind, inspect.DictType):
        found = {}
        for part in _parts(name, value, HOW_PAIRS):
            key, between, what = part.rpartition("=")
            if not between or not key:
                raise typer.BadParameter(f"--set {name}: {part!r} is no pair. {HOW_PAIRS}")
            found[key.strip()] = what.strip()
        return found
    return value


def _bare(kind: Any) -> Any:
    """A type without its limits, and without null."""
    from msgspec import inspect

    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def _parts(name: str, value: str, how: str) -> list[str]:
    """What stands between the commas; nothing for an empty text."""
    try:
        rows = list(csv.reader([value], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise typer.BadParameter(f"--set {name}={value}: {error}. {how}") from error
    parts = [part.strip() for row in rows for part in row]
    if "" in parts:
        raise typer.BadParameter(f"--set {name}={value}: nothing stands between two commas. {how}")
    return parts
