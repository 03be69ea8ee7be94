"""The English texts of pages and charts, all in one place, ready for another language.

A file for each subject has its texts by their keys. A text may have `{name}` for what is filled
in; a `|` parts the text for one from that for another number, which is chosen by `n`.
"""

from typing import Any

from shelfwise.texts import (
    campaigns,
    changes,
    charts,
    data,
    inventory,
    method,
    overview,
    pages,
    products,
    suppliers,
    trends,
)

SUBJECTS = (
    pages,
    charts,
    overview,
    products,
    inventory,
    trends,
    suppliers,
    data,
    changes,
    method,
    campaigns,
)
TEXTS: dict[str, str] = {key: told for subject in SUBJECTS for key, told in subject.TEXTS.items()}


def text(key: str, **values: Any) -> str:
    """A text, filled in; the form for one where `n` is 1.

    >>> text("products.title", n=1), text("products.title", n=3)
    ('1 product', '3 products')
    """
    found = TEXTS[key]
    if "|" in found and "n" in values:
        one, many = found.split("|")
        found = one if values["n"] == 1 else many
        if isinstance(values["n"], int):
            values["n"] = f"{values['n']:,}"
    return found.format(**values) if values else found
