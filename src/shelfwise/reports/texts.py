"""The English texts of reports, all in one place, ready for another language."""

from typing import Any
from unicodedata import bidirectional

from shelfwise.reports.report import clipped

TEXTS: dict[str, str] = {
    "kpi.revenue": "Revenue",
    "kpi.revenue.before": "{change} on the run of {day}",
    "kpi.revenue.units": "{units} units sold",
    "kpi.margin": "Gross margin",
    "kpi.margin.share": "{share} of revenue",
    "kpi.margin.part": "{share} of revenue, of the {known} products with a cost",
    "kpi.stock.cost": "Stock at cost",
    "kpi.stock.price": "Stock at list price",
    "kpi.stock.mixed": "Stock at cost, {count} at list price",
    "kpi.stock.note": "{units} units on hand",
    "kpi.reorder": "To reorder now",
    "kpi.reorder.note": "{money} to order",
    "kpi.clear": "To clear out",
    "kpi.clear.note": "{money} tied up",
    "kpi.score": "Mean score",
    "kpi.score.of": "of 100",
    "products": "products",
    "report.kind": "Product performance",
    "report.kind.supplier": "Supplier",
    "report.in_short": "In short",
    "report.contents": "Contents",
    "report.page": "page {page}",
    "report.product_count": "{n} product|{n} products",
    "report.profile": "profile {name}",
    "report.weeks": "{n} week to {day}|{n} weeks to {day}",
    "report.days": "{n} day to {day}|{n} days to {day}",
    "report.no_days": "as of {day}, days of sales unknown",
    "report.first": "The first {n} of {all}.",
    "report.needs": "It needs {needs}.",
    "report.show_data": "Show data",
    "report.about": "About this document",
    "report.about.source": "Source",
    "report.about.run": "Run",
    "report.about.model": "Model",
    "report.about.made": "Made by",
    "report.missing": "{n} letter of names could not be set for want of a font, and stands as ?. "
    "The web page and the workbook have it.|{n} letters of names could not be set for want of a "
    "font, and stand as ?. The web page and the workbook have them.",
    # Columns.
    "report.col.name": "Product",
    "report.col.category": "Category",
    "report.col.supplier": "Supplier",
    "report.col.tier": "Tier",
    "report.no_category": "No category",
    "report.col.high": "High",
    "report.col.products": "Products",
    "report.col.mean_score": "Mean score",
    "report.col.score": "Score",
    "report.col.revenue": "Revenue",
    "report.col.share": "Share",
    "report.col.stock": "In stock",
    "report.col.units": "Sold",
    "report.col.sell_through": "Sell-through",
    "report.col.left": "Left",
    "report.col.order": "Order",
    "report.col.by": "By",
    "report.col.costs": "Costs",
    "report.col.at_stake": "At stake",
    "report.col.risk": "Risk",
    "report.col.too_many": "Too many",
    "report.col.weeks": "Weeks",
    "report.col.tied": "Tied up",
    "report.col.basis": "Counted at",
    "report.col.growth": "A year",
    "report.col.sure_from": "95% sure from",
    "report.col.sure_to": "to",
    "report.col.before": "Before",
    "report.col.after": "After",
    "report.col.change": "Revenue",
    "report.col.reason": "Why",
    "report.col.dead": "Dead",
    "report.col.otif": "On time, in full",
    "report.col.fill_rate": "Units filled",
    "report.col.lead_time": "Lead days",
    "report.col.to_do": "What to do",
    "report.col.finding": "What was found",
    "report.col.action": "Done",
    "report.col.lines": "Lines",
    "report.col.rows": "Rows",
    "report.col.metric": "Metric",
    "report.col.weight": "Weight",
    "report.col.effect": "Effect",
    "report.col.formula": "Formula",
    "report.col.scaling": "Scaled by",
    "report.col.from": "0 at",
    "report.col.to": "1 at",
    # Where the revenue comes from.
    "report.revenue": "Where the revenue comes from",
    "report.revenue.none": "Nothing was sold",
    "report.revenue.finding": "{share} of products earn {of} of the revenue",
    "report.revenue.best": "{name} earns most: {money}, {share} of the revenue.",
    "report.revenue.silent": "{n} product ({share}) sold nothing.|{n} products ({share}) sold "
    "nothing.",
    # How products score.
    "report.scores": "How products score",
    "report.scores.finding": "The {n} product of tier High earns {share} of the revenue|The {n} "
    "products of tier High earn {share} of the revenue",
    "report.scores.quota": "High are the best fifth by score, Low the last fifth, Medium all "
    "between.",
    "report.scores.kmeans": "Tiers are three clusters that k-means found, by their mean score.",
    "report.scores.tiers": "What each tier holds",
    "report.scores.weights": "What moves the score",
    "report.scores.weights.note": "Weight: what the profile says. Effect: the share of the "
    "differences between scores that the metric makes among these products.",
    # Best sellers.
    "report.best": "Best sellers",
    "report.best.finding": "The best seller earns {share} of the revenue|The {n} best sellers earn "
    "{share} of the revenue",
    "report.best.low": "{n} of them is Low under this profile: it weighs stock and price too.|{n} "
    "of them are Low under this profile: it weighs stock and price too.",
    "report.best.none_low": "None of them is Low.",
    # Reorder first.
    "report.reorder": "Reorder first",
    "report.reorder.none": "Nothing has to be reordered now",
    "report.reorder.next": "Next is {name}, by {day}.",
    "report.reorder.finding": "{n} product to reorder now|{n} products to reorder now",
    "report.reorder.cost": "The orders cost {money}.",
    "report.reorder.stake": "Without them {money} of margin is lost on average.",
    "report.reorder.now": "{n} of them is due by {day}.|{n} of them are due by {day}.",
    "report.reorder.risk": "Risk: how probable it is that it runs out before an order arrives.",
    # Clear out first.
    "report.clear": "Clear out first",
    "report.clear.none": "Nothing has to be cleared out",
    "report.clear.finding": "{money} is stuck in {n} product to clear out|{money} is stuck in {n} "
    "products to clear out",
    "report.clear.share": "That is {share} of the money in stock.",
    "report.clear.dead": "{money} of the stock no longer sells at all.",
    # Trends.
    "report.trends": "Trends",
    "report.trends.unknown": "What rises and falls is not known",
    "report.trends.needs": "Trends need order lines: product, date and quantity of each sale, of "
    "half a year or more.",
    "report.trends.none": "No product is confirmed to rise or fall",
    "report.trends.finding": "{rising} and {falling}, confirmed",
    "report.trends.rising": "{n} product rises|{n} products rise",
    "report.trends.falling": "{n} falls|{n} fall",
    "report.trends.perhaps": "{n} more seems to move, and is not confirmed.|{n} more seem to move, "
    "and are not confirmed.",
    "report.trends.how": "Tested after the yearly season, with at most 5% false alarms among those "
    "that are confirmed.",
    "report.trends.table.rising": "Rising, most revenue first",
    "report.trends.table.falling": "Falling, most revenue first",
    # What changed.
    "report.changes": "What changed",
    "report.changes.alone": "There is nothing to compare with yet",
    "report.changes.needs": "It needs another run of the same profile, over a period as long.",
    "report.changes.withheld": "The run of {day} cannot be compared with this one",
    "report.changes.finding": "{n} product really changed since {day}|{n} products really changed "
    "since {day}",
    "report.changes.nothing": "Nothing really changed since {day}",
    "report.changes.revenue": "The revenue is {money} now, {change}.",
    "report.changes.moves": "{n} product moved to another tier in a way that counts; {seen} were "
    "seen to.|{n} products moved to another tier in a way that counts; {seen} were seen to.",
    "report.changes.before": "Before",
    "report.changes.matrix": "Tiers before (rows) and after (columns)",
    "report.changes.from": "From",
    "report.changes.really": "Products that really changed",
    "report.changes.chance": "All that moved can be chance.",
    "report.cause.volume": "Volume",
    "report.cause.price": "Price",
    "report.cause.mix": "Mix",
    "report.cause.new": "New",
    "report.cause.lost": "Lost",
    # Suppliers.
    "report.suppliers": "Suppliers",
    "report.suppliers.unknown": "Whose range earns is not known",
    "report.suppliers.needs": "It needs a column supplier; receipts of deliveries tell who "
    "delivers.",
    "report.suppliers.finding": "{name} is the only supplier|Of {n} suppliers {name} earns most: "
    "{share} of the revenue",
    "report.suppliers.worst": "{name} delivers worst: {share} on time and in full, {low} to {high} "
    "with 90% certainty.",
    "report.suppliers.equal": "The revenue is spread as over {count} suppliers of equal size.",
    "report.suppliers.to_do": "What to talk about",
    "report.action.renegotiate": "Talk about deliveries",
    "report.action.second_source": "Find a second source",
    # One supplier.
    "supplier.period": "{n} of {period}",
    "supplier.revenue": "Revenue",
    "supplier.revenue.note": "{share} of all revenue",
    "supplier.margin": "Gross margin",
    "supplier.score": "Score of their products",
    "supplier.score.note": "{low} to {high}, 90% sure",
    "supplier.stock": "In stock",
    "supplier.stock.note": "{share} of it too much",
    "supplier.dead": "Dead stock",
    "supplier.dead.note": "{share} of their stock",
    "supplier.otif": "On time and in full",
    "supplier.otif.note": "{low} to {high}, 90% sure",
    "supplier.lead": "Lead time",
    "supplier.lead.value": "{n} days",
    "supplier.lead.note": "planned {n} days",
    "supplier.lead.seen": "from order to receipt",
    "supplier.fill": "Units filled",
    "supplier.fill.note": "of {lines} lines of orders",
    "supplier.products": "What their products do",
    "supplier.products.finding": "{name} earns most of their products",
    "supplier.products.finding.none": "None of their products sold",
    "supplier.reorder": "What to order from them",
    "supplier.reorder.finding": "{n} of their products is to be reordered|{n} of their products "
    "are to be reordered",
    "supplier.clear": "What to clear out",
    "supplier.clear.finding": "{money} is stuck in {n} of their products",
    "supplier.talk": "What to talk about",
    "supplier.talk.none": "Nothing asks for a talk",
    "supplier.talk.no_receipts": "How they deliver is not known",
    "supplier.talk.needs": "It needs receipts of deliveries.",
    "supplier.sole": "In {names} nobody else delivers to us.",
    # Data quality.
    "report.quality": "Data quality",
    "report.quality.lines": "{counted} of {n} order line counts|{counted} of {n} order lines count",
    "report.quality.days": "They were sold from {first} to {last}.",
    "report.quality.all": "All {n} products were scored",
    "report.quality.some": "{n} product was scored, {skipped} rows were set aside|{n} products "
    "were scored, {skipped} rows were set aside",
    "report.quality.skipped": "{n} product was not scored.|{n} products were not scored.",
    "report.quality.findings": "What was found in the order lines",
    "report.quality.rejected": "Why rows were set aside",
    # How scores are made.
    "report.method": "How scores are made",
    "report.method.finding": "A score is a weighted mean, from 0 to 100",
    "report.method.metrics": "The metrics of the score",
    "report.method.score": "Each metric is scaled to 0 to 1 over all products; the score is 100 "
    "times the sum of weight and scaled metric.",
    "report.method.quota": "High are the best 20% by score, Low the last 20%, Medium the rest.",
    "report.method.kmeans": "Tiers are the clusters of k-means (k = 3), named by their mean score.",
    "report.method.cuts": "High begins at {high}; Low ends at {low}.",
    "report.method.abc": "Class A holds the best sellers up to 80% of the revenue, B the next 15%, "
    "C the rest.",
    "report.limit.relative": "Scores compare products with each other.",
    "report.limit.relative.why": "Another range gives the same product another score.",
    "report.limit.period": "Units and stock are of one period and one day.",
    "report.limit.period.why": "A product that was sold out sold less than it could have.",
    "report.limit.cause": "No figure here proves a cause.",
    "report.limit.cause.why": "Confirmed means: more than chance.",
    "report.limit.withheld": "Left out: {names}.",
    "report.limit.withheld.why": "The products do not have the columns that it needs.",
    # The workbook.
    "book.page": "Page {page} of {of}",
    "book.sheet.overview": "Overview",
    "book.sheet.categories": "Categories",
    "book.sheet.suppliers": "Suppliers",
    "book.sheet.reorder": "Reorder",
    "book.sheet.clear": "Clear out",
    "book.sheet.trends": "Trends",
    "book.sheet.changes": "What changed",
    "book.sheet.products": "Products",
    "book.sheet.method": "Method",
    "book.cut": "Only the first {n} of {all} rows: a sheet holds no more; CSV and Parquet have "
    "all.",
    "book.findings": "What was found",
    "book.charts": "The numbers of the charts",
    "book.products": "{n} product, by rank|{n} products, by rank",
    "book.products.lead": "Filter and sort as you like: numbers are numbers, and the table is "
    "called {table}.",
    "book.categories.unknown": "What each category earns is not known",
    "book.categories.needs": "It needs a column category.",
    "book.categories": "{name} earns most: {money}, {share} of the revenue",
    "book.categories.none": "No category earned anything",
    "book.categories.lead": "Most revenue first.",
    "book.pareto": "How few products earn the revenue",
    "book.scores": "How many products score how much",
    "book.by_category": "Revenue by category and tier",
    "book.earns": "What each earns, and what its stock ties up",
    "book.earns.alt": "{name} earns most: {money}.",
    "book.col.best": "Best products",
    "book.col.earn": "Share of revenue",
    "book.col.scored": "Score",
    "book.col.id": "Product id",
    "book.col.rank": "Rank",
    "book.col.brand": "Brand",
    "book.col.location": "Location",
    "book.col.abc": "ABC",
    "book.col.price": "Price",
    "book.col.cost": "Unit cost",
    "book.col.margin": "Gross margin",
    "book.col.points": "Points: {metric}",
    "book.col.flags": "To know",
    "book.col.trend": "Trend",
    "book.col.of_tier": "{tier} products",
    "book.col.revenue_of_tier": "{tier} revenue",
    "book.col.otif_low": "90% sure from",
    "book.col.otif_high": "90% sure to",
    "book.col.growth_low": "95% sure from",
    "book.col.growth_high": "95% sure to",
    "book.col.deliveries": "Deliveries",
    "book.col.planned": "Planned days",
    "book.col.sole": "Only source of",
    "book.col.on_order": "On order",
    "book.col.weekly": "Sells a week",
    "book.col.runs_out": "Runs out",
    "book.col.answer": "Answer",
    "book.col.remark": "Remark",
    "book.col.shift": "Last 13 weeks",
    "book.col.weeks_known": "Weeks known",
    "book.col.really": "Really changed",
    "book.col.tier_before": "Tier before",
    "book.col.tier_after": "Tier after",
    "book.col.revenue_before": "Revenue before",
    "book.col.revenue_after": "Revenue after",
    "book.col.revenue_change": "Change",
    "book.col.units_before": "Sold before",
    "book.col.units_after": "Sold after",
    "book.col.score_before": "Score before",
    "book.col.score_after": "Score after",
    "book.col.status": "Status",
    "book.yes": "Yes",
    "book.action.reorder": "Reorder",
    "book.action.clear": "Clear out",
    "book.action.run_out": "Let it run out",
    "book.action.watch": "Watch: new",
    "book.verdict.accepted": "Accepted",
    "book.trend.rising": "Rising",
    "book.trend.falling": "Falling",
    "book.trend.flat": "Flat",
    "book.trend.indicative_rising": "Perhaps rising",
    "book.trend.indicative_falling": "Perhaps falling",
    "book.trend.none": "Unclear",
    "book.trend.too_short": "Too new",
    "book.trend.no_data": "No sales to judge",
    "book.status.kept": "Sold in both",
    "book.status.new": "New",
    "book.status.gone": "Gone",
    "book.status.started": "Sold now only",
    "book.status.stopped": "Sold before only",
    "book.status.unsold": "Sold in neither",
}


def text(key: str, **values: Any) -> str:
    """A text, filled in; the form for one where `n` is 1.

    Names that are written from the right, or that turn the direction of writing, are set
    apart, so that the rest of the sentence stays as it is.
    """
    found = TEXTS[key]
    if "|" in found and "n" in values:
        one, many = found.split("|")
        found = one if values["n"] == 1 else many
        if isinstance(values["n"], int):
            values["n"] = f"{values['n']:,}"
    if "name" in values:
        values["name"] = clipped(values["name"], LONGEST_NAME)
    values = {name: _apart(value) if isinstance(value, str) else value
              for name, value in values.items()}  # fmt: skip
    return found.format(**values) if values else found


LONGEST_NAME = 70
"""Columns of a name in a sentence."""


def _apart(value: str) -> str:
    if value.isascii() or not any(bidirectional(letter) in TURNING for letter in value):
        return value
    return FIRST_STRONG_ISOLATE + value + "\N{POP DIRECTIONAL ISOLATE}"


TURNING = {"R", "AL", "RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}
"""Kinds of letters that do not stand from left to right, or change how others do."""
FIRST_STRONG_ISOLATE = "\N{FIRST STRONG ISOLATE}"
