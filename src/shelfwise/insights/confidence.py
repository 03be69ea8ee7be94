"""confidence(): how sure each tier and rank is, if the weights could be somewhat different.

Stochastic multicriteria acceptability analysis (Lahdelma and Salminen 2001, SMAA-2): the
weights are drawn many times around those of the profile, and each draw ranks and tiers all
products exactly as the score does.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.analysis import Analysis
from shelfwise.columns import COLUMN
from shelfwise.errors import InputError
from shelfwise.insights.acceptability import Draw, Ranker, acceptability, tiers
from shelfwise.insights.decisions import Quantity, Section, Withheld, checked, table
from shelfwise.insights.evidence import Evidence
from shelfwise.model import TIERS, Model
from shelfwise.pipeline.features import features
from shelfwise.pipeline.normalize import fit_scales, normalize
from shelfwise.pipeline.table import Arrays
from shelfwise.pipeline.tier import quota

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SURE = 0.8
"""Below this probability of its own tier a product is borderline."""
MOST_RANKS = 2_000_000_000
"""Products times draws: minutes of work, and 800 MB."""
FEWEST_WEEKS = 8
TOLERANCE = 1e-6


class ConfidencePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the weights are drawn, and how often."""

    draws: Annotated[
        int, msgspec.Meta(ge=20, le=100_000, description="How often weights are drawn.")
    ] = 1_000
    kappa: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=1e15,
            description="How close drawn weights stay to those of the profile: at 50 a weight "
            "of 0.5 moves by 0.07 (one standard deviation); more is closer.",
        ),
    ] = 50.0
    sales_noise: Annotated[
        bool,
        msgspec.Meta(
            description="Draw the units sold too: what another period like this one could bring."
        ),
    ] = False
    seed: Annotated[
        int, msgspec.Meta(ge=0, le=2**63 - 1, description="The same seed gives the same draws.")
    ] = 42


USUAL = ConfidencePolicy()

COLUMNS = (
    Quantity("product_id", "", "Identity of the product.", kind=pl.String),
    Quantity("name", "", "What people call it.", kind=pl.String),
    Quantity("performance_tier", "", "Its tier: High, Medium or Low.", kind=pl.String),
    Quantity("p_high", "share, 0 to 1", "How probable it is that it is High.",
             "draws in which it is High / draws; weights ~ Dirichlet(kappa x weights)",
             "Lahdelma and Salminen (2001), SMAA-2"),
    Quantity("p_medium", "share, 0 to 1", "How probable it is that it is Medium.",
             "1 - p_high - p_low", "Lahdelma and Salminen (2001), SMAA-2"),
    Quantity("p_low", "share, 0 to 1", "How probable it is that it is Low.",
             "draws in which it is Low / draws", "Lahdelma and Salminen (2001), SMAA-2"),
    Quantity("rank", "place", "Its place by score, 1 for the best.", kind=pl.Int64),
    Quantity("rank_low", "place", "The better end of its places.",
             "5% quantile of its ranks over the draws", kind=pl.Int64),
    Quantity("rank_high", "place", "The worse end of its places.",
             "95% quantile of its ranks over the draws", kind=pl.Int64),
    Quantity("borderline", "", "Whether its tier hangs on the exact weights.",
             f"probability of its own tier < {SURE}", kind=pl.Boolean),
    Quantity("rests_on", "", "Metrics without which its tier would be another one, with a "
             "comma between; empty where none is.",
             "tiers from the score without the metric, the other weights scaled to add up to 1",
             kind=pl.String),
)  # fmt: skip


def confidence(
    source: Analysis | Evidence, policy: ConfidencePolicy = USUAL, **evidence: Any
) -> Section:
    """How probable each product's tier is, and between which places its rank lies.

    Weights are drawn from a Dirichlet distribution around those of the profile, and all
    products are ranked and cut into tiers anew in each draw, ties together, as the score
    itself does it. With `sales_noise` the units sold are drawn too.

    The summary has the `borderline` products counted, the mean probability of the own tier
    (`mean_p_own`), for each metric how tiers move when it is left out (`without`), and the
    weights with which each metric would count as much as the profile says
    (`weights_to_match`, None where no weights do).

    Args:
        source: What `analyze` gave, or evidence.
        policy: How the weights are drawn.
        evidence: As for `Evidence.of`.

    Raises:
        InputError: A setting is out of its bounds, or products times draws are too many.

    Example:
        >>> import shelfwise
        >>> products = [
        ...     {"product_id": n, "name": f"No. {n}", "price": 10.0, "units_sold": n, "stock": 50}
        ...     for n in range(1, 11)
        ... ]
        >>> found = confidence(shelfwise.analyze(products))
        >>> found.rows.row(9, named=True)["p_high"]
        1.0
    """
    policy = checked(policy)
    evidence_ = Evidence.of(source, **evidence)
    model = evidence_.model
    if model is None:
        raise InputError("The evidence has no model.", "Give it: it says what the score weighs.")
    if evidence_.height * policy.draws > MOST_RANKS:
        most = MOST_RANKS // evidence_.height
        raise InputError(
            f"{policy.draws:,} draws of {evidence_.height:,} products are too many.",
            f"Take at most {most:,} draws.",
        )
    scored = _Scored(evidence_, model)
    draw = _noisy(evidence_, scored, policy) if policy.sales_noise else _weighed(scored, policy)
    high, low, first, last = acceptability(
        draw, policy.draws, scored.products, scored.quotas, scored.bounds
    )
    p = np.column_stack([high, policy.draws - high - low, low]) / policy.draws
    ranks, tier = scored.tiers()
    own = evidence_.text("performance_tier")
    code = own.replace_strict(list(TIERS), [0, 1, 2], default=None, return_dtype=pl.Int64)
    p_own = np.take_along_axis(p, code.fill_null(1).to_numpy()[:, None], axis=1)[:, 0]
    without = scored.without()
    values: dict[str, Any] = {
        "product_id": evidence_.ids,
        "name": evidence_.text("name"),
        "performance_tier": own,
        "rank": ranks,
        "rank_low": first,
        "rank_high": last,
        "rests_on": _named({name: other != tier for name, other in without.items()}),
    }
    summary: dict[str, Any] = {"draws": policy.draws, "kappa": policy.kappa}
    withheld: list[Withheld] = []
    if model.tiering == "kmeans":
        withheld.append(
            Withheld("probabilities of tiers", "the tiers are clusters", 'tiering="quota"')
        )
    else:
        values |= {f"p_{name.lower()}": p[:, at] for at, name in enumerate(TIERS)}
        values["borderline"] = p_own < SURE
        summary |= {"borderline": int((p_own < SURE).sum()), "mean_p_own": float(p_own.mean())}
    weights, why = scored.weights_to_match()
    if weights is None:
        withheld.append(Withheld("weights that match the importance wanted", *why))
    summary |= {
        "effective_weights": scored.effective(scored.weights),
        "weights_to_match": weights,
        "without": {name: _moves(tier, other) for name, other in without.items()},
    }
    if weights is not None:
        matched = scored.tiers([weights[name] / w for name, w in scored.named.items()])[1]
        summary["moved_by_weights_to_match"] = int((matched != tier).sum())
    assumed = _assumptions(policy, own_anew=bool((code != pl.Series(tier)).any()))
    return Section("confidence", COLUMNS, table(COLUMNS, values), tuple(withheld), assumed, summary)


class _Scored:
    """The parts of the scores, metric by metric, and what other weights would make of them."""

    def __init__(self, evidence: Evidence, model: Model) -> None:
        scales = [scale for scale in model.scales if scale.weight > 0]
        self.model, self.products = model, evidence.height
        self.named = {scale.metric: scale.weight for scale in scales}
        self.weights = np.array(list(self.named.values()))
        self.parts = [evidence.number(f"contribution_{name}") for name in self.named]
        shares = (model.profile.high_share, model.profile.low_share)
        self.quotas = quota(self.products, shares[0]), quota(self.products, shares[1])
        # Weights add up to 1: a score lies between the least and the most z of any metric.
        ends = [(part.min() / w, part.max() / w)
                for part, w in zip(self.parts, self.weights, strict=True)]  # fmt: skip
        self.bounds = float(min(low for low, _ in ends)), float(max(high for _, high in ends))

    def tiers(self, factors: Sequence[float] | None = None) -> tuple[NDArray[Any], Codes]:
        """Ranks and tiers, with each part taken so many times; once by default."""
        factors = [1.0] * len(self.parts) if factors is None else factors
        ranks = np.empty(self.products, dtype=np.int32)
        ranker = Ranker(self.products, self.quotas, self.bounds)
        low_from = ranker.rank(list(zip(self.parts, factors, strict=True)), ranks)
        high, low = tiers(ranks, low_from, self.quotas[0])
        return ranks, np.where(high, 0, np.where(low, 2, 1))

    def without(self) -> dict[str, Codes]:
        """The tiers with each metric left out; none where only one is weighed."""
        if len(self.named) < 2:
            return {}
        return {
            name: self.tiers([0.0 if other == name else 1 / (1 - weight) for other in self.named])[
                1
            ]
            for name, weight in self.named.items()
        }

    @cached_property
    def covariance(self) -> Floats:
        """Of the metrics after scaling, 0 to 100."""
        z = np.stack(self.parts) / self.weights[:, None]
        return np.atleast_2d(np.cov(z, ddof=0)) if self.products > 1 else np.zeros((len(z), len(z)))

    def effective(self, weights: Floats) -> dict[str, float | None]:
        """How much each metric moves the score under these weights: w Cov(z, s) / Var(s)."""
        own = weights * (self.covariance @ weights)
        total = own.sum()
        shares = own / total if total > 1e-14 else [None] * len(own)
        return dict(zip(self.named, map(_plain, shares), strict=True))

    def weights_to_match(self) -> tuple[dict[str, float] | None, tuple[str, str]]:
        """Weights under which the effective weights are those of the profile, or why none are."""
        deviation = np.sqrt(np.diag(self.covariance))
        same = [name for name, sd in zip(self.named, deviation, strict=True) if sd < TOLERANCE]
        if same:
            return None, (f"no weights give {' and '.join(same)} any importance, since all "
                          "products are equal in it", "products that differ in it")  # fmt: skip
        found = budgeted(self.covariance / np.outer(deviation, deviation), self.weights)
        if found is None:
            return None, ("no weights do: metrics cancel each other out", "other metrics")
        weights = found / deviation
        weights /= weights.sum()
        return dict(zip(self.named, weights.tolist(), strict=True)), ("", "")


def budgeted(covariance: Floats, shares: Floats) -> Floats | None:
    """Positive weights w with w_j (C w)_j in the proportions of the shares; None if there are none.

    They minimize w'Cw / 2 - sum of shares log w, which is convex (Spinu 2013, risk
    budgeting), found coordinate by coordinate.

    >>> found = budgeted(np.diag([1.0, 4.0]), np.array([0.5, 0.5]))
    >>> (found / found.sum()).round(6).tolist()
    [0.666667, 0.333333]
    """
    w = np.sqrt(shares / np.diag(covariance))
    for _ in range(10_000):
        for j in range(len(w)):
            own = covariance[j, j]
            rest = covariance[j] @ w - own * w[j]
            w[j] = (-rest + np.sqrt(rest * rest + 4 * own * shares[j])) / (2 * own)
        got = w * (covariance @ w)
        if np.abs(got / got.sum() - shares).max() < TOLERANCE:
            return w
    return None


def _weighed(scored: _Scored, policy: ConfidencePolicy) -> Draw:
    factors = _drawn_weights(scored, policy) / scored.weights
    return lambda d: list(zip(scored.parts, factors[d].tolist(), strict=True))


def _drawn_weights(scored: _Scored, policy: ConfidencePolicy) -> Floats:
    rng = np.random.default_rng(policy.seed)
    return rng.dirichlet(policy.kappa * scored.weights, policy.draws)


def _noisy(evidence: Evidence, scored: _Scored, policy: ConfidencePolicy) -> Draw:
    """Draws in which the units sold vary too, and with them revenue and all metrics.

    Demand ~ Gamma(mean u + 1/2, variance of its mean plus that of weeks beyond chance),
    units ~ Poisson(demand); ranges of metrics are fitted anew in each draw.
    """
    columns = {
        name: evidence.number(name)
        for name in evidence.products.columns
        if name in COLUMN and COLUMN[name].kind == "number"
    }
    units = columns["units_sold"]
    mean = np.maximum(units, 0.0) + 0.5
    spread = 1 + mean * overdispersion(evidence)
    weights, profile = _drawn_weights(scored, policy), scored.model.profile
    paid = columns.get("net_revenue")
    per_unit = columns["price"].copy()
    if paid is not None:
        np.divide(paid, units, out=per_unit, where=(units > 0) & ~np.isnan(paid))

    def draw(d: int) -> list[tuple[Floats, float]]:
        rng = np.random.default_rng([policy.seed, d])
        sold = rng.poisson(rng.gamma(mean / spread, spread)).astype(np.float64)
        new = columns | {"units_sold": sold}
        if paid is not None:
            new["net_revenue"] = np.where(np.isnan(paid), np.nan, per_unit * sold)
        made = features(Arrays(new), profile)
        scales = fit_scales(made, profile, scored.model.withheld)
        z = normalize(made.columns, scales)
        return [
            (z[f"z_{name}"], 100.0 * w)
            for name, w in zip(scored.named, weights[d].tolist(), strict=True)
        ]

    return draw


def overdispersion(evidence: Evidence) -> Floats:
    """The squared CV of a period's demand beyond what chance alone gives; 0 where unknown.

    From the weeks: (s² - m) / m² over the weeks of the period, s² half the mean squared
    step from week to week (von Neumann 1941), which season and trend hardly touch.
    """
    units = evidence.units
    if units.shape[1] < FEWEST_WEEKS or not evidence.period_days:
        return np.zeros(evidence.height)
    weeks = min(units.shape[1], max(1, round(evidence.period_days / 7)))
    recent = units[:, -max(weeks, FEWEST_WEEKS) :]
    mean = recent.mean(axis=1)
    variance = (np.diff(recent, axis=1) ** 2).mean(axis=1) / 2
    excess = np.maximum(variance - mean, 0.0)
    found: Floats = np.divide(excess, mean**2, out=np.zeros_like(mean), where=mean > 0) / weeks
    return found


def _named(changed: Mapping[str, NDArray[np.bool_]]) -> pl.Series | None:
    """For each product the names for which it is true, with a comma between."""
    if not changed:
        return None
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in changed]
    frame = pl.DataFrame(dict(changed))
    return frame.select(pl.concat_str(names, separator=", ", ignore_nulls=True)).to_series()


def _moves(before: Codes, after: Codes) -> dict[str, Any]:
    """How many change tier, and from which to which."""
    counts = np.bincount(3 * before + after, minlength=9).reshape(3, 3).tolist()
    cells = {a: dict(zip(TIERS, row, strict=True)) for a, row in zip(TIERS, counts, strict=True)}
    return {"changed": int((before != after).sum()), "tiers": cells}


def _plain(share: Any) -> float | None:
    return None if share is None else float(share)


def _assumptions(policy: ConfidencePolicy, *, own_anew: bool) -> tuple[str, ...]:
    told = [f"Weights ~ Dirichlet({policy.kappa:g} x weights of the profile), {policy.draws:,} "
            f"draws, seed {policy.seed}."]  # fmt: skip
    if policy.sales_noise:
        told.append("Units of another period like this one: Poisson with a Gamma mean around "
                    "those sold; stock as it is, revenue per unit as it was.")  # fmt: skip
    if own_anew:
        told.append("The tiers come from a model that was fitted elsewhere; each draw makes "
                    "its cuts among these products.")  # fmt: skip
    return tuple(told)
