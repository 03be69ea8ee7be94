"""The preview of an upload: what its first rows say, at the cost of its beginning alone."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinds import shop
from shelfwise.engines.decode import first_rows
from shelfwise.errors import InputError, RejectedRowsError, UnreadableError
from shelfwise.preview import BEGINNING, SAMPLE, preview

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=9), st.integers(1, 12), st.data())
def test_the_rows_of_a_beginning_are_the_first_of_the_whole(
    rows: list[Any], count: int, data: st.DataObject
) -> None:
    body = json.dumps(rows, ensure_ascii=data.draw(st.booleans()), indent=data.draw(
        st.sampled_from([None, 1]))).encode()  # fmt: skip
    if rows:
        assert first_rows(body, count, whole=True) == rows[:count]
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        found = first_rows(cut, count, whole=False)
    except (UnreadableError, RejectedRowsError):
        assert len(cut.rstrip()) <= len(json.dumps(rows[:1], indent=1)) + 3
        return
    assert 0 < len(found) <= count
    assert found == rows[: len(found)]


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_a_large_file_costs_no_more_than_its_beginning(tmp_path: Path, kind: str) -> None:
    rows = [json.dumps(row) for row in shop(400)]
    path = tmp_path / f"large.{kind}"
    with path.open("w", encoding="utf-8") as file:
        file.write("[" + ",\n".join(rows) if kind == "json" else "\n".join(rows))
        for _ in range(40):
            file.write("not looked at " * 80_000)
    size = path.stat().st_size
    assert size > 40 * BEGINNING
    tracemalloc.start()
    try:
        shown = preview(path, kind, 10 * size)
        assert tracemalloc.get_traced_memory()[1] < 8 * BEGINNING
    finally:
        tracemalloc.stop()
    assert shown["sampled"] == SAMPLE
    assert shown["missing"] == shown["problems"] == []
    assert shown["rows"][0]["name"] == shop(1)[0]["name"]


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        ("json", '{"products": [' + " " * 2 * BEGINNING + "]}", RejectedRowsError),
        ("json", "[" + " " * 2 * BEGINNING + "{}]", UnreadableError),
        ("json", '[{"name": "' + "x" * 2 * BEGINNING + '"}]', UnreadableError),
        ("json", '[{"name": "a\\"}, ,"' + " " * 2 * BEGINNING, UnreadableError),
        ("json", "[" * 500 + " " * 2 * BEGINNING, UnreadableError),
        ("json", "[" + "1," * BEGINNING, InputError),
        ("ndjson", '{"name": "' + "x" * 2 * BEGINNING + '"}', UnreadableError),
    ],
    ids=["no array", "no row", "a long text", "a quote", "nested", "numbers", "a long line"],
)  # fmt: skip
def test_a_beginning_without_products_is_said(
    tmp_path: Path, kind: str, content: str, error: type[Exception]
) -> None:
    path = tmp_path / "odd"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(error):
        preview(path, kind, 2**30)
