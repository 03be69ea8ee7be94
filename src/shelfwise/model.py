"""What a fit remembers: ranges, cuts and centers; saved and loaded here only.

A model is a handful of numbers. Between machines it travels as JSON. On one machine it
can also be a Joblib file with the scikit-learn objects, signed under the local key: it
is checked before anything is unpickled, and unpickled through an allow-list.
"""

import hashlib
import hmac
import json
import math
import os
import secrets
import tempfile
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from shelfwise.errors import ModelError, NotFoundError, ShelfwiseError
from shelfwise.profile import Profile, Scaling
from shelfwise.settings import Settings, load_settings

VERSION = 1
TINY = 10 * float(np.finfo(float).eps)
"""Widths below this count as constant, for MinMaxScaler and so for us."""
LARGEST = 1e300
TIERS = ("High", "Medium", "Low")
Tiering = Literal["quota", "kmeans"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How one metric becomes 0..1: as scikit-learn's MinMaxScaler(clip=True) does it.

    `low` and `high` are on the metric's scale after `log1p`, where that is the scaling.
    `knots` are the 101 percentiles of `rank`.
    """

    metric: str
    weight: float
    scaling: Scaling
    low: float
    high: float
    better: Literal["higher", "lower"] = "higher"
    knots: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The scale as plain values."""
        found = {name: getattr(self, name) for name in _SCALE_FIELDS}
        return found | {"knots": list(self.knots)}

    @property
    def constant(self) -> bool:
        """True where all fitted products have the same value: it then counts 0."""
        return self.scaling != "fixed" and self.high - self.low < TINY

    @property
    def factor(self) -> float:
        """MinMaxScaler.scale_: 1 / (high - low), and 1 for a constant metric."""
        width = self.high - self.low
        return 1.0 if width < TINY else 1.0 / width

    @property
    def shift(self) -> float:
        """MinMaxScaler.min_: -low x factor."""
        return 0.0 - self.low * self.factor


_SCALE_FIELDS = tuple(field.name for field in fields(Scale))


@dataclass(frozen=True)
class Model:
    """A fitted way to score; apply it with `analyze(products, model=model)`.

    `cut_high` and `cut_low` are scores (None: no product has that tier); `centers` maps
    a cluster's label to its center in scaled metrics. With `clip=False` values outside
    the fitted range score below 0 or above 100.
    """

    profile: Profile
    scales: tuple[Scale, ...]
    withheld: tuple[str, ...]
    cut_high: float | None
    cut_low: float | None
    centers: tuple[tuple[str, tuple[float, ...]], ...]
    products: int
    tiering: Tiering = "quota"
    clip: bool = True

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Everything learned, as plain values."""
        return {
            "version": VERSION,
            "profile": self.profile.to_dict(),
            "scales": [scale.to_dict() for scale in self.scales],
            "withheld": list(self.withheld),
            "cut_high": self.cut_high,
            "cut_low": self.cut_low,
            "centers": {label: list(center) for label, center in self.centers},
            "products": self.products,
            "tiering": self.tiering,
            "clip": self.clip,
        }

    @cached_property
    def parameters_sha256(self) -> str:
        """Hash of the parameters at 12 significant digits.

        Engines add floats in different orders; what differs only there hashes the same.
        """
        learned = {key: value for key, value in self.parameters.items() if key != "profile"}
        rounded = _rounded(learned) | {"profile": _rounded_profile(self.profile)}
        text = json.dumps(rounded, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def id(self) -> str:
        """The first 12 digits of the hash: a name for logs and answers."""
        return self.parameters_sha256[:12]

    def to_dict(self) -> dict[str, Any]:
        """The model as the HTTP answer names it."""
        return {
            "id": self.id,
            "profile": self.profile.name,
            "tiering": self.tiering,
            "parameters_sha256": self.parameters_sha256,
            "version": VERSION,
        }

    def unclipped(self) -> "Model":
        """The same model, letting values outside the fitted range score beyond 0..100."""
        return replace(self, clip=False)

    def sklearn_objects(self) -> dict[str, Any]:
        """A `MinMaxScaler` and a `KMeans` that transform and predict as this model does.

        The scaler takes the metrics in the order of `scales` (after log1p where that is
        the scaling; it says nothing for `rank`). The KMeans is None without centers.
        """
        from sklearn.cluster import KMeans
        from sklearn.preprocessing import MinMaxScaler

        low = np.array([scale.low for scale in self.scales])
        high = np.array([scale.high for scale in self.scales])
        scaler = MinMaxScaler(clip=self.clip).fit(np.vstack([low, high]))
        scaler.n_samples_seen_ = self.products
        kmeans = None
        if self.centers:
            centers = np.array([center for _, center in self.centers])
            kmeans = KMeans(n_clusters=len(centers), init=centers, n_init=1, max_iter=1)
            kmeans.fit(centers)
            kmeans.cluster_centers_ = centers
            kmeans.set_params(init="k-means++", n_init=4, max_iter=300, random_state=42)
            del kmeans.labels_
        return {"scaler": scaler, "kmeans": kmeans}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model: `.json`, or `.joblib` with its signed `.json` beside it.

        A crash leaves the old file or the new one, never half of one.
        """
        path = Path(path)
        check_ending(path)
        if path.suffix == ".json":
            _write(path, _json(self.parameters))
            return path
        import joblib

        buffer = BytesIO()
        joblib.dump(self.sklearn_objects() | {"parameters": self.parameters}, buffer)
        payload = buffer.getvalue()
        record = self.parameters | {"joblib_hmac_sha256": _sign(payload)}
        # The record goes last: a joblib file without its record is refused, not trusted.
        _write(path, payload)
        _write(path.with_suffix(".json"), _json(record))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Model":
        """Read a model; ModelError for a file that is foreign, changed or damaged."""
        path = Path(path)
        if path.suffix not in (".json", ".joblib"):
            raise ModelError(f"{path} is no model file.", "It ends in .json or .joblib.")
        record = _record(path.with_suffix(".json"))
        signature = record.pop("joblib_hmac_sha256", None)
        model = cls.from_parameters(record)
        if path.suffix == ".json":
            return model
        payload = _read(path)
        if not isinstance(signature, str) or not hmac.compare_digest(signature, _sign(payload)):
            raise ModelError(
                f"{path} was not written by this installation, or was changed since.",
                "Move models between machines as JSON: model.save('m.json').",
            )
        stored = _unpickle(payload)
        if stored.get("parameters") != record:
            raise ModelError(f"{path} and {path.with_suffix('.json').name} do not agree.")
        return model

    @classmethod
    def from_parameters(cls, given: dict[str, Any]) -> "Model":
        """A model from what `parameters` gave; it scores bit for bit the same."""
        try:
            if given["version"] != VERSION:
                raise ModelError(
                    f"The model has version {given['version']}; this program reads {VERSION}.",
                    "Fit it again.",
                )
            if unknown := given.keys() - _KEYS:
                raise ValueError(f"unknown keys {sorted(unknown)}")
            model = cls(
                profile=Profile.from_dict(given["profile"]),
                scales=tuple(Scale(**s | {"knots": tuple(s["knots"])}) for s in given["scales"]),
                withheld=tuple(given["withheld"]),
                cut_high=given["cut_high"],
                cut_low=given["cut_low"],
                centers=tuple((label, tuple(c)) for label, c in given["centers"].items()),
                products=given["products"],
                tiering=given["tiering"],
                clip=given["clip"],
            )
            _check(model)
        except ShelfwiseError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(
                f"This is no saved model: {type(error).__name__} at {error}.",
                "A model is written by model.save() or --save-model.",
            ) from error
        return model


_KEYS = {
    "version", "profile", "scales", "withheld", "cut_high", "cut_low", "centers", "products",
    "tiering", "clip",
}  # fmt: skip


def _check(model: Model) -> None:
    numbers: list[Any] = [x for _, center in model.centers for x in center]
    numbers += [cut for cut in (model.cut_high, model.cut_low) if cut is not None]
    for scale in model.scales:
        numbers += [scale.weight, scale.low, scale.high, *scale.knots]
        model.profile.metric(scale.metric)
        if scale.scaling not in get_args(Scaling) or scale.better not in ("higher", "lower"):
            raise ValueError("scaling or better")
    if not all(type(n) in (int, float) and abs(n) < LARGEST for n in numbers):
        raise ValueError("a parameter that is no finite number")
    if any(cut is not None and abs(cut) > 1e9 for cut in (model.cut_high, model.cut_low)):
        raise ValueError("cuts")
    if not all(isinstance(name, str) for name in model.withheld):
        raise ValueError("withheld")
    if len(model.profile.name) > 200:
        raise ValueError("the profile's name, which is too long")
    if model.tiering not in ("quota", "kmeans") or not isinstance(model.clip, bool):
        raise ValueError("tiering or clip")
    if any(label not in TIERS or len(c) != len(model.scales) for label, c in model.centers):
        raise ValueError("centers")
    if not isinstance(model.products, int) or model.products < 1 or not model.scales:
        raise ValueError("products or scales")
    if not 1 <= len(model.centers) <= len(TIERS):
        raise ValueError("centers")
    if any(len(s.knots) != (101 if s.scaling == "rank" else 0) for s in model.scales):
        raise ValueError("knots")
    if abs(math.fsum(s.weight for s in model.scales) - 1) > 1e-9:
        raise ValueError("weights that do not add up to 1")


def _json(parameters: dict[str, Any]) -> bytes:
    return json.dumps(parameters, indent=2, allow_nan=False).encode() + b"\n"


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    if not isinstance(record, dict):
        raise ModelError(f"{path} is no saved model.")
    return record


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def check_ending(path: Path) -> None:
    """ModelError for a file that no model is written to."""
    if path.suffix not in (".json", ".joblib"):
        raise ModelError(f"{path} has no known ending.", "Use .json or .joblib.")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _sign(payload: bytes) -> str:
    return hmac.new(local_key(), payload, hashlib.sha256).hexdigest()


def local_key(settings: Settings | None = None) -> bytes:
    """The local key: the setting, or a file that only its owner reads, made at first use."""
    settings = settings or load_settings()
    if settings.secret_key:
        return settings.secret_key.encode()
    path = settings.data_dir / "secret.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = _read(path).strip()
        if len(key) < 16:
            raise ModelError(
                f"The local key in {path} is damaged.", "Delete the file to make a new one."
            ) from None
        return key
    except OSError as error:
        raise ModelError(
            f"The local key cannot be kept in {path}: {error.strerror}.",
            "Set SHELFWISE_SECRET_KEY or SHELFWISE_DATA_DIR.",
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(32).encode())
    return _read(path)


_ALLOWED = {
    ("sklearn.preprocessing._data", "MinMaxScaler"),
    ("sklearn.cluster._kmeans", "KMeans"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "scalar"),
}


def _unpickle(payload: bytes) -> dict[str, Any]:
    from joblib.numpy_pickle import NumpyUnpickler

    class Unpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in _ALLOWED:
                raise ModelError(f"A model file asks for {module}.{name}; it is refused.")
            return super().find_class(module, name)

    file = BytesIO(payload)
    try:
        loaded = Unpickler("", file, ensure_native_byte_order=True).load()
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise ModelError(f"The model file is damaged: {type(error).__name__}.") from error
    if not isinstance(loaded, dict):
        raise ModelError("The model file holds something else than a model.")
    return loaded


@lru_cache(maxsize=64)
def _rounded_profile(profile: Profile) -> Any:
    # The same for each request with that profile; a tenth of what ten rows cost.
    return _rounded(profile.to_dict())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
