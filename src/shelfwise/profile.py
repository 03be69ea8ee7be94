"""How to score: which metrics, how much each counts, how they are scaled, tier shares."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from shelfwise import formula
from shelfwise.columns import COLUMN
from shelfwise.errors import NotFoundError, ProfileError, excerpt
from shelfwise.metrics import METRIC, Metric, is_result

Scaling = Literal["minmax", "winsor", "log1p", "rank", "fixed"]
_BETTER = "It is higher or lower."
WINSOR = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Term:
    """One metric of the score: its weight and how it is brought to 0..1.

    Scalings: `minmax` from the smallest to the largest value; `winsor` from the 5 % to
    the 95 % quantile (type 7); `log1p` min-max of log(1 + x); `rank` the position among
    the fitted products; `fixed` from `low` to `high`, goalposts of your own.
    """

    metric: str
    weight: float
    scaling: Scaling = "minmax"
    low: float | None = None
    high: float | None = None
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class Profile:
    """A complete way to score; `terms` add up to weight 1.

    `zero_price="allow"` gives free products the smallest sales velocity present;
    `"refuse"` rejects them, because units / 0 has no meaning.
    """

    name: str
    terms: tuple[Term, ...]
    description: str = ""
    high_share: float = 0.2
    low_share: float = 0.2
    zero_price: Literal["refuse", "allow"] = "refuse"
    own_metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        _validate(self)

    def metric(self, name: str) -> Metric:
        """The metric of that name, the user's own before the built-in one."""
        return next((m for m in self.own_metrics if m.name == name), None) or METRIC[name]

    @property
    def needs(self) -> frozenset[str]:
        """Columns without which a product cannot be scored, beside the required ones."""
        least = (self.metric(term.metric).formulas[-1] for term in self.terms)
        return frozenset().union(*(formula.names(text) for text in least))

    def to_dict(self) -> dict[str, Any]:
        """Everything that defines the profile, as plain values; `from_dict` reads it."""
        own = {
            m.name: {"formula": m.formulas[0], "better": m.better, "unit": m.unit,
                     "meaning": m.meaning}
            for m in self.own_metrics
        }  # fmt: skip
        terms = {
            term.metric: {
                key: value
                for key in ("weight", "scaling", "low", "high", "better")
                if (value := getattr(term, key)) is not None
            }
            for term in self.terms
        }
        return {
            "name": self.name,
            "description": self.description,
            "terms": terms,
            "tiers": {"high": self.high_share, "low": self.low_share},
            "zero_price": self.zero_price,
            "metrics": own,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Profile":
        """A profile from plain values, as a TOML file or a saved model has them."""
        _known(given, {"name", "description", "terms", "tiers", "zero_price", "metrics"}, "profile")
        tiers = _table(given, "tiers")
        _known(tiers, {"high", "low"}, "tiers")
        own = tuple(_own_metric(name, t) for name, t in _table(given, "metrics").items())
        better = {m.name: m.better for m in (*METRIC.values(), *own)}
        terms = tuple(_term(name, t, better) for name, t in _table(given, "terms").items())
        return cls(
            name=str(given.get("name", "")),
            terms=terms,
            description=str(given.get("description", "")),
            high_share=_number(tiers.get("high", 0.2), "tiers.high"),
            low_share=_number(tiers.get("low", 0.2), "tiers.low"),
            zero_price=given.get("zero_price", "refuse"),
            own_metrics=own,
        )


def _validate(profile: Profile) -> None:
    if not profile.name or not profile.name.replace("-", "").replace("_", "").isalnum():
        raise ProfileError("A profile needs a name of letters, digits, - and _.")
    if not profile.terms:
        raise ProfileError(
            f"Profile {profile.name} scores nothing.",
            "Give it [terms], for example revenue = 1.0.",
        )
    names = [term.metric for term in profile.terms]
    if len(set(names)) < len(names):
        raise ProfileError(f"Profile {profile.name} names a metric twice.")
    for metric in profile.own_metrics:
        if metric.better not in ("higher", "lower"):
            raise ProfileError(f"better of {metric.name} is {excerpt(metric.better)}.", _BETTER)
        for column in sorted(formula.names(metric.formulas[0])):
            if column not in COLUMN or COLUMN[column].kind != "number":
                numeric = ", ".join(c.name for c in COLUMN.values() if c.kind == "number")
                raise ProfileError(
                    f"The formula of {metric.name} reads {excerpt(column)}, which is no number "
                    "column.", f"It may read {numeric}.",
                )  # fmt: skip
    known = METRIC.keys() | {metric.name for metric in profile.own_metrics}
    for term in profile.terms:
        _validate_term(profile.name, term, known)
    total = math.fsum(term.weight for term in profile.terms)
    if abs(total - 1) > 1e-9:
        raise ProfileError(
            f"The weights of profile {profile.name} add up to {total:.6g}.",
            "They must add up to 1.",
        )
    if not (profile.high_share >= 0 and profile.low_share >= 0) or (
        profile.high_share + profile.low_share > 1
    ):
        raise ProfileError(
            f"The tier shares of profile {profile.name} do not fit.",
            "high and low are shares from 0 to 1 and together at most 1.",
        )
    if profile.zero_price not in ("refuse", "allow"):
        raise ProfileError(f"zero_price is {excerpt(profile.zero_price)}.", "Say refuse or allow.")


def _validate_term(profile: str, term: Term, known: set[str]) -> None:
    if term.metric not in known:
        raise ProfileError(
            f"Profile {profile} weighs {excerpt(term.metric)}, which is no metric.",
            f"Known: {', '.join(sorted(known))}; define your own under [metrics.NAME].",
        )
    if not 0 <= term.weight <= 1:
        raise ProfileError(f"The weight of {term.metric} is {term.weight}.", "It is 0 to 1.")
    if term.scaling not in get_args(Scaling):
        raise ProfileError(
            f"The scaling of {term.metric} is {excerpt(term.scaling)}.",
            f"Known: {', '.join(get_args(Scaling))}.",
        )
    if term.better not in ("higher", "lower"):
        raise ProfileError(f"better of {term.metric} is {excerpt(term.better)}.", _BETTER)
    goalposts = term.low is not None and term.high is not None
    if term.scaling == "fixed" and not (goalposts and term.low < term.high):  # type: ignore[operator]  # both are numbers once goalposts holds
        raise ProfileError(f"{term.metric} has fixed scaling.", "Give it low and high, low < high.")
    if term.scaling != "fixed" and (term.low is not None or term.high is not None):
        raise ProfileError(f"{term.metric} has goalposts.", 'They go with scaling = "fixed".')


def _table(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = given.get(key, {})
    if not isinstance(table, Mapping):
        raise ProfileError(f"{key} is {excerpt(table)}.", f"It must be a table: [{key}].")
    return table


def _known(given: Mapping[str, Any], known: set[str], what: str) -> None:
    for key in given:
        if key not in known:
            raise ProfileError(
                f"{excerpt(key)} is no key of {what}.", f"Known: {', '.join(sorted(known))}."
            )


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ProfileError(f"{what} is {excerpt(value)}.", "It must be a number.")
    return float(value)


def _term(name: str, given: Any, better: Mapping[str, str]) -> Term:
    table = given if isinstance(given, Mapping) else {"weight": given}
    _known(table, {"weight", "scaling", "low", "high", "better"}, f"terms.{name}")
    numbers = {
        key: _number(table[key], f"terms.{name}.{key}") for key in ("low", "high") if key in table
    }
    return Term(
        metric=name,
        weight=_number(table.get("weight"), f"terms.{name}.weight"),
        scaling=table.get("scaling", "minmax"),
        better=table.get("better", better.get(name, "higher")),
        **numbers,
    )


def _own_metric(name: str, given: Any) -> Metric:
    table = given if isinstance(given, Mapping) else {"formula": given}
    _known(table, {"formula", "better", "unit", "meaning"}, f"metrics.{name}")
    if is_result(name) or name in COLUMN or not name.isidentifier() or not name.islower():
        raise ProfileError(
            f"A metric cannot be called {excerpt(name)}.",
            "Use small letters, digits and _, and no name that is taken.",
        )
    text = table.get("formula")
    if not isinstance(text, str):
        raise ProfileError(f"metrics.{name} has no formula.", 'formula = "price * units_sold"')
    if not formula.names(text):
        raise ProfileError(f"The formula of {name} reads no column.")
    return Metric(
        name=name,
        label=name.replace("_", " ").capitalize(),
        formulas=(text,),
        unit=str(table.get("unit", "")),
        meaning=str(table.get("meaning", "")),
        better=table.get("better", "higher"),
    )


def _builtin(name: str, description: str, first: str, scaling: Scaling) -> Profile:
    weights = {first: 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}
    return Profile(name, tuple(Term(m, w, scaling) for m, w in weights.items()), description)


PROFILES = {
    profile.name: profile
    for profile in (
        _builtin("standard", "Revenue 50, stock ratio 30, units / price 20, min-max.",
                 "revenue", "minmax"),
        _builtin("robust", "As standard, each metric first held to its 5-95 % quantiles.",
                 "revenue", "winsor"),
        _builtin("margin", "As standard, with gross margin in the place of revenue.",
                 "gross_margin", "minmax"),
    )
}  # fmt: skip


def load_profile(profile: "Profile | str | Path") -> Profile:
    """A built-in profile by name, or your own from a TOML file.

    >>> load_profile("robust").terms[0].scaling
    'winsor'
    """
    if isinstance(profile, Profile):
        return profile
    if str(profile) in PROFILES:
        return PROFILES[str(profile)]
    path = Path(profile)
    if path.suffix != ".toml":
        raise ProfileError(
            f"There is no profile {excerpt(str(profile))}.",
            f"Known: {', '.join(PROFILES)}, or the path of a .toml file.",
        )
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"{path} cannot be read as TOML: {error}.") from error
    return Profile.from_dict({"name": path.stem} | given)
