"""The generated shop's answer, byte for byte, in every run and on every Python.

What differs in the last digits between machines is left out: centers are in no answer,
and the hash that is made from them goes. Run this file to write the golden file anew.
"""

from pathlib import Path

import msgspec

import shelfwise
from shelfwise import answer
from shelfwise.demo import make_shop

GOLDEN = Path(__file__).parent / "golden" / "shop.ndjson"


def lines() -> bytes:
    analysis = shelfwise.analyze(make_shop().products, period=365)
    found = msgspec.json.decode(b"".join(answer.encode(analysis, explain=True)))
    model = {key: found["model"][key] for key in ("profile", "tiering", "version")}
    rows = [*found["data"], found["summary"], model, *found["warnings"]]
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def test_the_answer_for_the_shop_is_the_golden_one() -> None:
    assert lines().decode().splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_two_runs_give_the_same_bytes() -> None:
    assert lines() == lines()


if __name__ == "__main__":
    GOLDEN.write_bytes(lines())
