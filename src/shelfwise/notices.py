"""What the reader of an analysis should know besides the numbers: the warnings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shelfwise.formula import log1p, where
from shelfwise.model import Model
from shelfwise.pipeline import tiers_under
from shelfwise.pipeline.table import Table
from shelfwise.pipeline.tier import LABELS, LOW, SMALL_GROUP, quota
from shelfwise.profile import PROFILES
from shelfwise.quality import OUTSIDE, Quality

EFFECTIVE_GAP = 0.15
TIED_SHARE = 0.05
STABLE_CLUSTERS = 10
COMPARABLE = 5
BEST_SELLERS = 100


@dataclass(frozen=True, slots=True)
class Notice:
    """One warning; `code` never changes."""

    code: str
    message: str
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """The warning as JSON has it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def best_sellers(n: int) -> int:
    """How many products count as best sellers: 100, or a tenth of a smaller catalogue."""
    return min(BEST_SELLERS, max(1, n // 10))


def best_sellers_low(table: Table, k: int) -> int:
    """How many of the k products with most revenue are Low."""
    (least,) = table.order_statistics("revenue", [table.height - k])
    columns = table.columns
    low = (columns["revenue"] >= least) & (columns["performance_tier"] == LOW)
    found = table.collect({"low": where(low & (columns["revenue"] > 0), 1.0, 0.0).sum()})
    return min(k, int(found["low"]))  # Ties at the k-th place may bring more.


@dataclass(frozen=True, slots=True)
class Favor:
    """The profile that products favor: how many of their best sellers are Low under each."""

    profile: str
    best_sellers: int
    low_standard: int
    low_robust: int


def favored(table: Table, model: Model) -> Favor | None:
    """`robust` where fewer best sellers are Low under it than under `standard`.

    None for scores of another profile, and where too few products are there to tell.
    """
    if table.height < COMPARABLE or model.profile != PROFILES["standard"]:
        return None
    k = best_sellers(table.height)
    low = best_sellers_low(table, k)
    other = best_sellers_low(tiers_under(table, PROFILES["robust"]), k) if low else 0
    return Favor("robust" if other < low else "standard", k, low, other)


def about_fit(table: Table, model: Model, summary: Mapping[str, Any]) -> list[Notice]:
    """Warnings about scores that were fitted on these very products."""
    n = table.height
    notices = _withheld(model) + [_constant(s.metric) for s in model.scales if s.constant]
    if n < COMPARABLE:
        notices.append(
            Notice(
                "relative_scores",
                f"Scores compare products with each other; so few ({n}) say little.",
                "Send the whole catalogue, or score against a saved model.",
            )
        )
    if n < STABLE_CLUSTERS:
        notices.append(
            Notice(
                "unstable_clusters",
                f"{n} product{'s are' if n > 1 else ' is'} few: one more or less may change every "
                "cluster.",
                f"Clusters mean something from about {STABLE_CLUSTERS} products on.",
            )
        )
    if n >= COMPARABLE:
        notices += _ties(table, model, summary)
        notices += _weights(model, summary["effective_weights"])
        notices += _low_best_sellers(table, model)
    return notices


def about_apply(table: Table, model: Model) -> list[Notice]:
    """Warnings about scores against a model fitted elsewhere."""
    outside = {}
    for scale in model.scales:
        if scale.scaling in ("minmax", "rank", "log1p"):
            values = table.columns[scale.metric]
            values = log1p(values) if scale.scaling == "log1p" else values
            beyond = (values < scale.low) | (values > scale.high)
            outside[scale.metric] = where(beyond, 1.0, 0.0).sum()
    found = {name: int(count) for name, count in table.collect(outside).items() if count}
    if not found:
        return _withheld(model)
    parts = ", ".join(f"{name} of {count:,}" for name, count in found.items())
    what = "were clipped to it" if model.clip else "score beyond 0 to 100"
    return [
        *_withheld(model),
        Notice(
            "outside_fitted_range",
            f"Outside the range the model was fitted on: {parts} products; they {what}.",
            "Fit the model again when this grows.",
        ),
    ]


def about_lines(quality: Quality, set_aside: int) -> list[Notice]:
    """What happened to the order lines that the products were counted from."""
    notices = []
    # Days that nobody asked for are no fault of the lines.
    outside = sum(f.lines for f in quality.findings if f.name == OUTSIDE)
    if lost := quality.left_out + quality.unreadable - outside:
        asked = quality.lines - outside
        notices.append(
            Notice(
                "lines_left_out",
                f"{lost:,} of {asked:,} order lines were not counted.",
                "The data-quality report says which and why.",
            )
        )
    if set_aside:
        notices.append(
            Notice(
                "products_set_aside",
                f"{set_aside:,} products have no units or revenue left after returns: not scored.",
                "`rejected` lists them.",
            )
        )
    return notices


def about_groups(small: int, group: str) -> list[Notice]:
    """A warning where groups are too small to be ranked within."""
    if not small:
        return []
    return [
        Notice(
            "small_groups",
            f"{small:,} products are in a {group} of fewer than {SMALL_GROUP}: "
            "their tier in the group means little.",
        )
    ]


def _withheld(model: Model) -> list[Notice]:
    if not model.withheld:
        return []
    weights = ", ".join(f"{s.metric} {s.weight:.1%}" for s in model.scales)
    return [
        Notice(
            "no_stock",
            f"There is no stock: {', '.join(model.withheld)} is withheld; weights are {weights}.",
            "Give the stock column to use all metrics.",
        )
    ]


def _constant(metric: str) -> Notice:
    return Notice(
        "constant_metric",
        f"Every product has the same {metric}; it tells nothing and counts 0.",
    )


def _ties(table: Table, model: Model, summary: Mapping[str, Any]) -> list[Notice]:
    n, profile = table.height, model.profile
    counts = dict.fromkeys(LABELS.values(), 0)
    for (tier, _), count in table.counts("_quota", "cluster").items():
        counts[LABELS[tier]] += count
    return [
        Notice(
            "ties_move_tiers",
            f"{counts[label] / n:.0%} of the products are {label} instead of {share:.0%}, "
            f"because equal scores stay together ({summary['tied_at_cuts'][label.lower()]:,} "
            "at the cut).",
        )
        for label, share in (("High", profile.high_share), ("Low", profile.low_share))
        if abs(counts[label] - quota(n, share)) > TIED_SHARE * n
    ]


def _weights(model: Model, effective: Mapping[str, float | None]) -> list[Notice]:
    gaps = []
    for scale in model.scales:
        real = effective[scale.metric]
        if real is not None and abs(real - scale.weight) > EFFECTIVE_GAP:
            label = model.profile.metric(scale.metric).label.lower()
            gaps.append(f"{label} {real:.0%} instead of {scale.weight:.0%}")
    if not gaps:
        return []
    return [
        Notice(
            "effective_weights",
            f"What really moves the score: {', '.join(gaps)}.",
            "" if model.profile.name == "robust" else 'Profile "robust" tames extreme values.',
        )
    ]


def _low_best_sellers(table: Table, model: Model) -> list[Notice]:
    k = best_sellers(table.height)
    low = best_sellers_low(table, k)
    if not low:
        return []
    message = f"{low} of your {k} best sellers {'is' if low == 1 else 'are'} Low"
    if model.profile != PROFILES["standard"] or model.tiering != "quota":
        return [Notice("best_sellers_low", f"{message} under this profile.")]
    other = best_sellers_low(tiers_under(table, PROFILES["robust"]), k)
    return [
        Notice(
            "best_sellers_low",
            f"{message} under this profile; robust would make it {other}.",
            'Choose profile "robust", or compare the two.',
        )
    ]
