"""Texts: each key has one text, and what is asked for is there."""

import re
from pathlib import Path

import shelfwise
from shelfwise.texts import SUBJECTS, TEXTS, text

SOURCE = Path(shelfwise.__file__).parent
ASKED = re.compile(r"""\b(?:text|t)\(\s*["']([a-z_.]+[a-z_])["']\s*[,)]""")


def test_no_key_is_in_two_subjects() -> None:
    assert sum(len(subject.TEXTS) for subject in SUBJECTS) == len(TEXTS)


def test_pages_and_charts_ask_for_texts_that_are_there() -> None:
    files = [
        *SOURCE.glob("charts/*.py"),
        *SOURCE.glob("service/dashboard/*.py"),
        *SOURCE.glob("service/templates/dashboard/*.html"),
    ]
    asked = {key for file in files for key in ASKED.findall(file.read_text("utf-8"))}
    assert len(asked) > 300
    assert asked <= TEXTS.keys()


def test_counts_have_separators_and_the_form_of_their_number() -> None:
    assert text("products.title", n=1) == "1 product"
    assert text("products.title", n=12_345) == "12,345 products"
