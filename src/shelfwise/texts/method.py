"""Texts: how a score is computed."""

TEXTS: dict[str, str] = {
    "method.title": "The score is {parts}",
    "method.title.gap": "{metric} should count {weight} and really counts {real}",
    "method.title.none": "How the score is computed",
    "method.none": "By the standard profile. With a run its ranges, cuts and effective weights "
    "stand here, too.",
    "method.file": "Model as JSON",
    "method.or": "or",
    "method.metrics": "What the score is made of",
    "method.metrics.meaning": "The range is what becomes 0 and 1.",
    "method.col.metric": "Metric",
    "method.col.formula": "Formula",
    "method.col.weight": "Weight",
    "method.col.effective": "Really moves the score",
    "method.col.range": "Range",
    "method.col.scaling": "Scaling",
    "method.unit": "Unit: {unit}.",
    "method.lower": "Lower is better.",
    "method.constant": "the same for all: counts 0",
    "method.effective": "What really moves the score: the weight times the covariance of the "
    "scaled metric with the score, over the score's variance. It adds up to 100%.",
    "method.withheld": "Withheld, for want of a column: {names}. The other weights are scaled up.",
    "method.steps": "How a score is made",
    "method.step.metrics": "Each metric is computed of the product's columns. Of several formulas "
    "it takes the first whose columns it has; a / b is 0 where b is not above 0.",
    "method.scaling.minmax": "Each metric is brought to 0 to 1: (value - lowest) / (highest - "
    "lowest) of all products.",
    "method.scaling.winsor": "Each metric is held to its 5% and 95% quantiles, then brought to 0 "
    "to 1: (value - low) / (high - low).",
    "method.scaling.log1p": "log(1 + value) is brought to 0 to 1 by its lowest and highest.",
    "method.scaling.rank": "The metric counts by its place among the products, from 0 to 1.",
    "method.scaling.fixed": "The metric is brought to 0 to 1 between goalposts that the profile "
    "sets.",
    "method.step.score": "Score = 100 times the sum of weight times scaled metric.",
    "method.step.quota": "By score the best {high} are High, the last {low} are Low, the rest is "
    "Medium; equal scores stay together.",
    "method.step.kmeans": "Tiers follow the clusters: the one with the best mean score is High, "
    "the worst Low.",
    "method.step.cuts": "Here High begins at {high}, and Low ends at {low}.",
    "method.step.clusters": "Beside the tiers, k-means puts products of like metrics into three "
    "clusters, whatever their score.",
    "method.example": "For example, the best one",
    "method.limits": "What it does not tell",
    "method.limit.relative": "A score compares the products of one run with each other. It is no "
    "grade that holds elsewhere.",
    "method.limit.range": "Under min-max one extreme product sets the top of the scale, and the "
    "others move closer together. Robust tames that.",
    "method.limit.price": "Units sold / price favors cheap products that move. It is no speed over "
    "time.",
    "method.limit.period": "It speaks of one period. A product that is new in it had less time to "
    "sell.",
    "method.limit.stock": "Sell-through takes the stock of one day. What was sold out looks "
    "better than it could have been.",
    "method.limit.cause": "It says what is so, not why. It knows nothing of customers, rivals or "
    "what is in fashion.",
    "method.card": "Model card",
    "method.card.meaning": "What would have to be the same to get these scores again.",
    "method.card.model": "Model",
    "method.card.fit": "Fitted",
    "method.card.fitted": "on this run's {n} product|on this run's {n} products",
    "method.card.applied": "elsewhere, on {n} product|elsewhere, on {n} products",
    "method.card.profile": "Profile",
    "method.card.tiering": "Tiers",
    "method.card.tiers": "Products by tier",
    "method.card.period": "Period",
    "method.card.source": "Source",
    "method.card.group": "Also scored within",
    "method.card.zero": "A price of 0",
    "method.card.zero.refuse": "is refused",
    "method.card.zero.allow": "takes the smallest units / price",
    "method.clusters": "Centers of the clusters, in scaled metrics",
    "method.cluster": "Cluster",
    "method.others": "Other metrics",
    "method.others.meaning": "They do not count in this profile.",
    "method.decisions": "How decisions are computed",
    "method.decisions.meaning": "Every column that has a formula, by the question that it answers.",
}
