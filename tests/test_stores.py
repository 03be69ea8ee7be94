"""Results to and from object stores: servers on this machine that speak S3, Azure and Google."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import shelfwise
from shelfwise import cli
from shelfwise.engines import output
from shelfwise.errors import NotFoundError, OutputError, UnsupportedError

SHOP = pl.DataFrame(
    {
        "product_id": ["007", "08", "9"],
        "name": ["Lämp", "=Mug", 'a,b "c"'],
        "price": [19.99, 9.5, 3.0],
        "units_sold": [150, 40, 7],
        "stock": [50, 160, 0],
    }
)
LINES = pl.DataFrame(
    {
        "product_id": ["a", "a", "b", "c"],
        "date": ["2026-01-05", "2026-01-07", "2026-01-09", "2026-02-01"],
        "quantity": [3, -1, 2, 4],
        "unit_price": [2.5, 2.5, 9.0, 1.0],
    }
)


@dataclass(frozen=True)
class Store:
    """A store with an empty bucket or container."""

    bucket: str
    query: str = ""

    def at(self, path: str = "") -> str:
        """The URL of a file or folder in it."""
        return f"{self.bucket}/{path}".rstrip("/") + self.query

    def names(self, folder: str = "") -> list[str]:
        """The files of a folder."""
        from pyarrow import fs

        url = self.at(folder).replace("az://", "abfs://")
        system, path = fs.FileSystem.from_uri(url)
        found = system.get_file_info(fs.FileSelector(path))
        return sorted(one.base_name for one in found if one.type == fs.FileType.File)


@pytest.fixture
def analysis() -> shelfwise.Analysis:
    return shelfwise.analyze(SHOP)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


@contextmanager
def served(command: list[str], **environment: str) -> Iterator[str]:
    """A server in a process of its own, told PORT; its host and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [str(port) if word == "PORT" else word for word in command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment,
    )  # fmt: skip
    try:
        for _ in range(300):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "the store did not start"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def found(program: str, how: str) -> str:
    """The path of a program; the test is skipped where there is none."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"there is no {program}: {how}")
    return path


@pytest.fixture(scope="module")
def _moto() -> Iterator[str]:
    pytest.importorskip("moto")
    command = ["-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "PORT"]
    with served([sys.executable, *command]) as host:
        yield host


@pytest.fixture
def s3(_moto: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket, with the credentials where Arrow looks for them."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{_moto}", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    name = f"b{time.time_ns()}"
    made = urllib.request.Request(f"http://{_moto}/{name}", method="PUT")
    urllib.request.urlopen(made, timeout=30).close()
    return Store(f"s3://{name}")


@pytest.fixture(scope="module")
def _gcs() -> Iterator[str]:
    program = found("gcp-storage-emulator", "pip install gcp-storage-emulator")
    with served([program, "start", "--host", "127.0.0.1", "--port", "PORT", "--in-memory"]) as host:
        yield host


@pytest.fixture
def gs(_gcs: str) -> Store:
    name = f"b{time.time_ns()}"
    made = urllib.request.Request(
        f"http://{_gcs}/storage/v1/b?project=1", json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    urllib.request.urlopen(made, timeout=30).close()
    return Store(f"gs://anonymous@{name}", f"?scheme=http&endpoint_override={_gcs}")


@pytest.fixture(scope="module")
def _azurite() -> Iterator[tuple[str, bytes]]:
    """The host and port, and the key of the account `shop`."""
    program = found("azurite-blob", "npm install -g azurite")
    key = secrets.token_bytes(32)
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", "PORT", "--silent",
               "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]  # fmt: skip
    account = f"shop:{base64.b64encode(key).decode()}"
    with served(command, AZURITE_ACCOUNTS=account) as host:
        yield host, key


@pytest.fixture
def az(_azurite: tuple[str, bytes]) -> Store:
    """A container, with a shared access signature: an emulator takes no other credentials."""
    from pyarrow import fs

    host, key = _azurite
    may = {"sp": "rwdlacup", "ss": "b", "srt": "sco", "se": "2100-01-01T00:00:00Z",
           "spr": "https,http", "sv": "2021-12-02"}  # fmt: skip
    signed = "\n".join(
        ["shop", may["sp"], may["ss"], may["srt"], "", may["se"], "", may["spr"], may["sv"], "", ""]
    )
    signature = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    query = urlencode(may | {"sig": base64.b64encode(signature).decode(), "enable_tls": "false"})
    name = f"b{time.time_ns()}"
    store = Store(f"az://shop@{host}/{name}", f"?{query}")
    system, path = fs.FileSystem.from_uri(store.at().replace("az://", "abfs://"))
    system.create_dir(path)
    return store


@pytest.fixture(params=["s3", "gs", "az", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        for folder in ("in", "out", "parts"):  # A store has no folders that must be made.
            (tmp_path / "store" / folder).mkdir(parents=True)
        return Store(f"file://{tmp_path}/store")
    made: Store = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_a_result_goes_to_a_store_and_comes_back(
    store: Store, kind: str, analysis: shelfwise.Analysis
) -> None:
    target = store.at(f"scored.{kind}")
    output.check(target)
    output.write(analysis.products, target, kind)
    assert store.names() == [f"scored.{kind}"]
    again = shelfwise.analyze(target).products
    wanted = ["product_id", "name", "performance_score", "rank"]
    assert_frame_equal(again.select(wanted), analysis.products.select(wanted))
    relation = shelfwise.analyze(SHOP, engine="duckdb").products
    output.write(relation, target, kind)
    assert shelfwise.analyze(target).products.height == 3


def test_products_in_a_folder_of_a_store(store: Store) -> None:
    for part in (0, 1):
        output.write(SHOP[part : part + 1], store.at(f"parts/{part}.parquet"), "parquet")
    products = shelfwise.analyze(store.at("parts")).products["product_id"]
    assert sorted(products.to_list()) == ["007", "08"]
    relation = shelfwise.analyze(store.at("parts"), engine="duckdb").products
    assert relation.count("*").fetchall() == [(2,)]


def test_the_command_line_writes_to_a_store(
    store: Store, tmp_path: Path, call: Callable[..., Any]
) -> None:
    LINES.write_csv(tmp_path / "lines.csv")
    lines = store.at("in/lines.csv")
    output.put((tmp_path / "lines.csv").read_bytes(), lines)
    ended = call("analyze", "--sales", lines, "-o", store.at("out/scored.json"))
    assert ended.exit_code == 0, ended.output
    ended = call("analyze", "--sales", lines, "-o", store.at("out/scored.parquet"))
    assert ended.exit_code == 0, ended.output
    assert store.names("out") == ["scored.json", "scored.parquet", "scored.quality.json"]
    for name in ("scored.parquet", "scored.quality.json"):
        assert f"out/{name}" in ended.output
    for secret in ("sig=", "secret="):
        assert ended.output.count(secret) == ended.output.count(f"{secret}***")


def test_what_stands_behind_a_question_mark_is_kept(
    s3: Store, tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    LINES.write_csv(tmp_path / "lines.csv")
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    named = Store(s3.bucket.replace("s3://", "s3://testing:s3cret@"),
                  f"?scheme=http&endpoint_override={host}")  # fmt: skip
    target = named.at("out.v1/a.parquet")
    ended = call("analyze", "--sales", tmp_path / "lines.csv", "-o", target)
    assert ended.exit_code == 0, ended.output
    assert "s3cret" not in ended.output
    assert shelfwise.analyze(target).products.height == 3
    assert named.names("out.v1") == ["a.parquet", "a.quality.json"]


def test_a_result_that_cannot_be_made_leaves_nothing(store: Store) -> None:
    relation = duckdb.sql("SELECT 1 / (i - 150000)::INT AS x, error('no') AS y FROM range(200000) "
                          "AS numbers(i)")  # fmt: skip
    output.put(b"old", store.at("scored.csv"))
    with pytest.raises(OutputError, match="cannot be written"):
        output.write(relation, store.at("scored.csv"), "csv")
    assert store.names() == ["scored.csv"]


@pytest.mark.parametrize("name", ["s3", "gs", "az"])
def test_a_bucket_that_is_not_there_is_refused_before_anything_is_read(
    name: str, request: pytest.FixtureRequest, call: Callable[..., Any]
) -> None:
    store: Store = request.getfixturevalue(name)
    target = store.at("a.parquet").replace(store.bucket[-20:], "none-of-this")
    with pytest.raises(NotFoundError, match="There is no none-of-this to write") as caught:
        call("analyze", "none.csv", "-o", target)
    assert "sig=" not in str(caught.value).replace("sig=***", "")
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        call("analyze", "none.csv", "-o", store.at("a.parquet"))


def test_a_bucket_that_is_not_there_is_named(s3: Store, analysis: shelfwise.Analysis) -> None:
    with pytest.raises(OutputError, match=r"s3://none-of-this/a\.parquet cannot be written"):
        output.write(analysis.products, "s3://none-of-this/a.parquet", "parquet")
    with pytest.raises(NotFoundError, match="nothing at"):
        shelfwise.analyze(s3.at("none.parquet"))
    with pytest.raises(OutputError, match="is a folder"):
        output.write(analysis.products, s3.at("folder") + "/", "parquet")
    with pytest.raises(OutputError, match="is a folder"):
        output.check(s3.at())
    with pytest.raises(UnsupportedError, match="Known"):
        output.put(b"", "ftp://host/a.csv")


def test_order_lines_of_a_store(store: Store) -> None:
    output.write(LINES, store.at("lines.parquet"), "parquet")
    sold = shelfwise.from_sales(store.at("lines.parquet"))
    assert sold.quality.net_units == 8
