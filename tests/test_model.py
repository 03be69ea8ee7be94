"""Saved models: they score the same to the bit, and what was tampered with is refused."""

import hashlib
import hmac
import io
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest

import shelfwise
from kinds import DUCKDB, Engine
from shelfwise.model import Model

RANGE = [
    {"product_id": i, "name": f"P{i}", "price": 0.7 + i % 9, "units_sold": float(i * i % 53),
     "stock": float(i % 7), "unit_cost": 0.1 * (i % 5)}
    for i in range(60)
]  # fmt: skip
OWN = {
    "name": "own",
    "terms": {
        "turns": {"weight": 0.3, "scaling": "log1p"},
        "revenue": {"weight": 0.3, "scaling": "rank"},
        "stock_ratio": {"weight": 0.2, "scaling": "fixed", "low": 0.1, "high": 0.9},
        "sales_velocity": {"weight": 0.2, "scaling": "winsor", "better": "lower"},
    },
    "metrics": {"turns": {"formula": "units_sold / max(stock, 1)"}},
}
PROFILES: dict[str, Any] = {
    "standard": "standard", "robust": "robust", "margin": "margin",
    "own": shelfwise.Profile.from_dict(OWN),
}  # fmt: skip
RESULTS = ("performance_score", "performance_tier", "cluster", "rank")


@pytest.fixture
def model() -> Model:
    return shelfwise.analyze(RANGE).model


def results(source: Any, **options: Any) -> list[tuple[Any, ...]]:
    return shelfwise.analyze(source, **options).products.select(RESULTS).rows()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("ending", ["json", "joblib"])
def test_a_saved_model_scores_the_same_to_the_bit(
    tmp_path: Path, profile: str, ending: str
) -> None:
    analysis = shelfwise.analyze(RANGE, profile=PROFILES[profile])
    path = analysis.model.save(tmp_path / f"model.{ending}")
    assert path == tmp_path / f"model.{ending}"
    loaded = Model.load(path)
    assert loaded.parameters == analysis.model.parameters
    assert loaded.id == analysis.model.id
    assert results(RANGE, model=path) == results(RANGE, profile=PROFILES[profile])
    assert results(RANGE, model=loaded) == results(RANGE, model=str(path))


def test_a_saved_model_scores_the_same_on_every_engine(tmp_path: Path, frame: Engine) -> None:
    path = shelfwise.analyze(frame(RANGE)).model.save(tmp_path / "model.json")
    got = frame.read(shelfwise.analyze(frame(RANGE), model=path).products)
    assert [tuple(row[name] for name in RESULTS) for row in got] == results(RANGE)


def test_the_clusters_in_place_of_tiers_are_remembered(tmp_path: Path) -> None:
    fitted = shelfwise.analyze(RANGE, tiering="kmeans")
    path = fitted.model.save(tmp_path / "model.json")
    assert results(RANGE, model=path) == fitted.products.select(RESULTS).rows()


def test_the_hash_is_the_same_on_every_engine(model: Model, frame: Engine) -> None:
    assert shelfwise.analyze(frame(RANGE)).model.parameters_sha256 == model.parameters_sha256
    assert model.id == model.parameters_sha256[:12]


def test_another_range_has_another_hash(model: Model) -> None:
    assert shelfwise.analyze(RANGE[:50]).model.id != model.id


def test_an_unknown_ending_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(shelfwise.ModelError, match=r"Use \.json or \.joblib"):
        model.save(tmp_path / "model.pkl")
    assert list(tmp_path.iterdir()) == []


def test_saving_again_replaces_the_file_and_leaves_no_other(model: Model, tmp_path: Path) -> None:
    for _ in range(2):
        model.save(tmp_path / "model.joblib")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.joblib", "model.json"]
    assert Model.load(tmp_path / "model.joblib").id == model.id


def test_a_missing_model_is_not_found(tmp_path: Path) -> None:
    for name in ("none.json", "none.joblib"):
        with pytest.raises(shelfwise.NotFoundError):
            Model.load(tmp_path / name)


def test_a_joblib_file_without_its_json_is_not_read(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "model.joblib")
    path.with_suffix(".json").unlink()
    with pytest.raises(shelfwise.NotFoundError, match=r"model\.json"):
        Model.load(path)


def test_a_joblib_file_beside_an_unsigned_json_is_refused(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "model.joblib")
    model.save(tmp_path / "model.json")
    with pytest.raises(shelfwise.ModelError, match="not written by this installation"):
        Model.load(path)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_changed_byte_is_refused(model: Model, tmp_path: Path, place: int) -> None:
    path = model.save(tmp_path / "model.joblib")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(shelfwise.ModelError, match="changed since"):
        Model.load(path)


def test_a_changed_json_beside_a_signed_file_is_refused(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "model.joblib")
    record = json.loads(path.with_suffix(".json").read_bytes())
    record["cut_high"] += 1
    path.with_suffix(".json").write_text(json.dumps(record))
    with pytest.raises(shelfwise.ModelError, match="do not agree"):
        Model.load(path)


def test_a_file_signed_with_another_key_is_refused(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model.save(tmp_path / "model.joblib")
    monkeypatch.setenv("SHELFWISE_SECRET_KEY", "another key, long enough")
    with pytest.raises(shelfwise.ModelError) as caught:
        Model.load(path)
    assert "as JSON" in caught.value.hint
    assert Model.load(path.with_suffix(".json")).id == model.id


class Creates:
    """Unpickled, it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


def signed(path: Path, payload: bytes, record: dict[str, Any]) -> None:
    """Write files as someone would who holds the key."""
    key = (Path(os.environ["SHELFWISE_DATA_DIR"]) / "secret.key").read_bytes()
    path.write_bytes(payload)
    signature = hmac.new(key, payload, hashlib.sha256).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(record | {"joblib_hmac_sha256": signature}))


def dumped(content: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(content, buffer)
    return buffer.getvalue()


def test_a_crafted_pickle_runs_nothing_even_when_signed(model: Model, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", model.save(tmp_path / "model.joblib")
    pickle.loads(pickle.dumps(Creates(canary)))
    assert canary.exists()  # it bites; it must not here
    canary.unlink()
    for payload in (dumped(Creates(canary)), pickle.dumps(Creates(canary)),
                    dumped({"parameters": model.parameters, "x": Creates(canary)})):  # fmt: skip
        signed(path, payload, model.parameters)
        with pytest.raises(shelfwise.ModelError, match="refused"):
            Model.load(path)
        assert not canary.exists()


def test_a_crafted_pickle_without_a_signature_is_not_even_read(
    model: Model, tmp_path: Path
) -> None:
    canary, path = tmp_path / "canary", model.save(tmp_path / "model.joblib")
    path.write_bytes(dumped(Creates(canary)))
    with pytest.raises(shelfwise.ModelError, match="not written by this installation"):
        Model.load(path)
    assert not canary.exists()


HOLLOW = {
    "empty": b"",
    "garbage": b"no pickle",
    "a list": dumped([1, 2]),
    "text": dumped("text"),
    "an empty dict": dumped({}),
    "cut off": dumped({"a": 1})[:-3],
}


@pytest.mark.parametrize("payload", HOLLOW.values(), ids=HOLLOW.keys())
def test_a_signed_file_that_holds_no_model_is_refused(
    model: Model, tmp_path: Path, payload: bytes
) -> None:
    path = model.save(tmp_path / "model.joblib")
    signed(path, payload, model.parameters)
    with pytest.raises(shelfwise.ModelError):
        Model.load(path)


def test_the_key_is_for_its_owner_only(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.joblib")
    key = Path(os.environ["SHELFWISE_DATA_DIR"]) / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 64


def test_the_key_of_the_settings_is_used_and_none_is_made(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWISE_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("SHELFWISE_SECRET_KEY", "a key of some length")
    assert Model.load(model.save(tmp_path / "model.joblib")).id == model.id
    assert not (tmp_path / "home").exists()


def test_an_empty_key_file_signs_nothing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWISE_DATA_DIR", str(tmp_path))
    (tmp_path / "secret.key").touch(mode=0o600)
    with pytest.raises(shelfwise.ShelfwiseError, match=r"secret\.key"):
        model.save(tmp_path / "model.joblib")


def changed(**new: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record | new


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: {k: v for k, v in record.items() if k != name}


def first_scale(**new: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record | {"scales": [record["scales"][0] | new, *record["scales"][1:]]}


DAMAGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda record: [record],
    "another version": changed(version=99),
    "no version": without("version"),
    "no scales": changed(scales=[]),
    "no centers": without("centers"),
    "unknown key": changed(comment="hello"),
    "unknown key of a scale": first_scale(color="red"),
    "unknown metric": first_scale(metric="profit"),
    "unknown scaling": first_scale(scaling="cubic"),
    "scale as text": first_scale(low="0"),
    "scale infinite": first_scale(high=float("inf")),
    "scale NaN": first_scale(low=float("nan")),
    "cut as text": changed(cut_high="80"),
    "cut infinite": changed(cut_low=float("inf")),
    "tiering unknown": changed(tiering="alphabet"),
    "clip as a number": changed(clip=1),
    "centers too short": changed(centers={"High": [1.0]}),
    "centers misnamed": changed(centers={"Best": [1.0, 1.0, 1.0]}),
    "products as text": changed(products="many"),
    "profile gone": changed(profile=None),
    "profile unknown key": lambda record: record | {"profile": record["profile"] | {"x": 1}},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_model_is_refused(model: Model, tmp_path: Path, damage: str) -> None:
    path = model.save(tmp_path / "model.json")
    path.write_text(json.dumps(DAMAGED[damage](json.loads(path.read_bytes()))))
    with pytest.raises((shelfwise.ModelError, shelfwise.ProfileError)):
        Model.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000], ids=range(4))
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(shelfwise.ModelError, match="is not JSON"):
        Model.load(path)


NEWER = [row | {"units_sold": row["units_sold"] * 3} for row in RANGE[:20]] + [
    RANGE[30] | {"product_id": 99, "price": 500.0, "units_sold": 400.0}
]


def outside(analysis: Any) -> str:
    (message,) = [w.message for w in analysis.warnings if w.code == "outside_fitted_range"]
    return str(message)


def test_values_outside_the_fitted_range_are_clipped_and_counted(
    model: Model, frame: Engine
) -> None:
    analysis = shelfwise.analyze(frame(NEWER), model=model)
    got = frame.read(analysis.products)
    for row in got:
        assert 0 <= row["performance_score"] <= 100
    for scale in model.scales:
        beyond = sum(not scale.low <= row[scale.metric] <= scale.high for row in got)
        if beyond:
            assert f"{beyond} of {scale.metric}" in outside(analysis).replace(
                f"{scale.metric} of {beyond}", f"{beyond} of {scale.metric}"
            )
    assert "clipped" in outside(analysis)


def test_an_unclipped_model_scores_beyond_100(model: Model, frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(NEWER), model=model.unclipped())
    scores = frame.column(analysis.products, "performance_score")
    assert max(scores) > 100
    assert "beyond 0 to 100" in outside(analysis)
    row = frame.read(analysis.products)[-1]
    width = model.scales[0].high - model.scales[0].low
    expected = 50 * (row["revenue"] - model.scales[0].low) / width
    assert row["contribution_revenue"] == pytest.approx(expected, rel=1e-12)


def test_an_unclipped_model_stays_so_when_saved(model: Model, tmp_path: Path) -> None:
    path = model.unclipped().save(tmp_path / "model.joblib")
    assert Model.load(path).clip is False
    assert results(NEWER, model=path) == results(NEWER, model=model.unclipped())
    assert joblib.load(path)["scaler"].clip is False


@pytest.mark.parametrize("clip", [True, False])
def test_values_outside_a_log_range_are_counted_too(clip: bool) -> None:
    profile = shelfwise.Profile.from_dict(
        {"name": "logs", "terms": {"revenue": {"weight": 1.0, "scaling": "log1p"}}}
    )
    model = shelfwise.analyze(RANGE, profile=profile).model
    analysis = shelfwise.analyze(NEWER, model=model if clip else model.unclipped())
    highest = max(row["price"] * row["units_sold"] for row in RANGE)
    beyond = sum(row["price"] * row["units_sold"] > highest for row in NEWER)
    assert beyond > 0
    assert f"revenue of {beyond}" in outside(analysis)


def test_values_inside_the_fitted_range_raise_no_warning(model: Model) -> None:
    assert shelfwise.analyze(RANGE[5:15], model=model).warnings == []


def test_a_model_with_stock_refuses_products_without(model: Model) -> None:
    rows = [{k: v for k, v in row.items() if k != "stock"} for row in RANGE]
    for source in (rows, DUCKDB(rows)):
        with pytest.raises(shelfwise.ModelError, match="weighs stock_ratio"):
            shelfwise.analyze(source, model=model)


def test_a_model_without_stock_scores_products_with_it() -> None:
    rows = [{k: v for k, v in row.items() if k != "stock"} for row in RANGE]
    model = shelfwise.analyze(rows).model
    assert results(RANGE, model=model)[:5] == results(rows, model=model)[:5]


def test_one_new_product_can_be_scored(model: Model) -> None:
    one = shelfwise.analyze([RANGE[7]], model=model).products
    expected = shelfwise.analyze(RANGE).products[7]
    for name in ("performance_score", "performance_tier", "cluster"):
        assert one[name].item() == expected[name].item()


def test_a_model_of_a_single_product_can_be_saved(tmp_path: Path) -> None:
    model = shelfwise.analyze(RANGE[:1]).model
    path = model.save(tmp_path / "model.joblib")
    assert Model.load(path).parameters == model.parameters
    assert results(RANGE[:1], model=path) == results(RANGE[:1])
