"""Small requests are computed one after the other; nothing else waits for that."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient

from kinds import shop
from shelfwise.service import scoring
from shelfwise.store.runs import Runs


def test_small_requests_take_turns_and_large_ones_do_not_wait(
    client_of: Callable[..., FlaskClient],
) -> None:
    client, large = client_of(), json.dumps(shop(6_000)).encode()
    assert len(large) > scoring.SMALL
    answered: list[int] = []

    def post(body: bytes) -> None:
        sent = client.post("/product-analysis", data=body, content_type="application/json")
        answered.append(sent.json["summary"]["products"])

    small = Thread(target=post, args=(json.dumps(shop(9)).encode(),))
    with scoring._small:
        small.start()
        post(large)
        small.join(0.2)
        assert answered == [6_000]
    small.join(30)
    assert answered == [6_000, 9]


def test_other_media_wait_for_no_turn(client_of: Callable[..., FlaskClient]) -> None:
    # A hundred thousand products may be a few bytes of Parquet.
    buffer = BytesIO()
    pl.DataFrame(shop(50)).write_parquet(buffer)
    with scoring._small:
        sent = client_of().post(
            "/product-analysis", data=buffer.getvalue(),
            content_type="application/vnd.apache.parquet",
        )  # fmt: skip
    assert sent.json["summary"]["products"] == 50


def test_nobody_waits_while_a_run_is_kept(
    client_of: Callable[..., FlaskClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, free = Runs.save, []

    def looking(self: Runs, *given: Any, **options: Any) -> Any:
        free.append(not scoring._small.locked())
        return save(self, *given, **options)

    monkeypatch.setattr(Runs, "save", looking)
    client = client_of(data_dir=tmp_path)
    sent = client.post("/product-analysis?save=1", json=shop(9))
    assert sent.status_code == 200
    assert free == [True]
