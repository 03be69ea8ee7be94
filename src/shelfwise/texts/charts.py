"""Texts: what charts say, on pages, in reports and in notebooks."""

TEXTS: dict[str, str] = {
    # Headings of their tables, axes and tooltips.
    "chart.col.product": "Product",
    "chart.col.product_id": "Number",
    "chart.col.supplier": "Supplier",
    "chart.col.tier": "Tier",
    "chart.col.class": "Class",
    "chart.col.action": "Why shown",
    "chart.col.products": "Products",
    "chart.col.share_of_products": "Share of products",
    "chart.col.share_of_revenue": "Share of revenue",
    "chart.col.money": "Money",
    "chart.col.at_stake": "At stake",
    "chart.col.score": "Score",
    "chart.col.score_from": "Score from",
    "chart.col.from": "from",
    "chart.col.to": "to",
    "chart.col.weeks": "Weeks",
    "chart.col.week": "Week from",
    "chart.col.units": "Units",
    "chart.col.average": "Average of 8 weeks",
    "chart.col.run": "Run of",
    "chart.col.part": "Part",
    "chart.col.what": "What",
    # Where the revenue comes from.
    "chart.pareto": "Where the revenue comes from",
    "chart.pareto.meaning": "Products ranked by revenue. A: the first 80%, B: the next 15%, C: the "
    "last 5%.",
    "chart.pareto.x": "Share of products, best sellers first",
    "chart.pareto.mark": "{share} of products earn {of}",
    "chart.pareto.class": "{class}: {count} products, {share} of revenue",
    "chart.pareto.told": "{share} of products ({count}) earn {of} of the revenue; {last} (class C) "
    "earn the last {rest}.",
    "chart.pareto.told.all": "The only product earns all of the revenue.|The revenue is spread "
    "evenly: all {n} products are class A.",
    # Scores by tier.
    "chart.scores": "Scores by tier",
    "chart.scores.meaning": "How many products score how much.",
    "chart.scores.meaning.quota": "How many products score how much; the best fifth are High, the "
    "last fifth Low.",
    "chart.scores.x": "Performance score, 0 to 100",
    "chart.scores.x.part": "Performance score, here {low} to {high} of 0 to 100",
    "chart.scores.beyond": "{n} product lies outside of {low} to {high} and is not drawn|"
    "{n} products lie outside of {low} to {high} and are not drawn",
    "chart.scores.told": "The middle product scores {middle} of 100",
    "chart.scores.high": "High begins at {score}",
    "chart.scores.low": "Low ends at {score}",
    # The portfolio map.
    "chart.map": "Portfolio map",
    "chart.map.meaning": "Shading: where all products lie. Circles: those worth a decision, by the "
    "money at stake.",
    "chart.map.meaning.best": "Shading: where all products lie. Circles: the best sellers.",
    "chart.map.best": "best seller",
    "chart.map.x": "{metric}: units sold / (units sold + stock)",
    "chart.map.y": "Revenue of a product (log scale)",
    "chart.map.here": "Products here",
    "chart.map.told.none": "No product earned anything.",
    "chart.map.told": "{share} of products earned something; the middle one of these earned "
    "{money} and sold through {sold} of what there was.",
    # Money by group.
    "chart.group.category": "category",
    "chart.group.supplier": "supplier",
    "chart.group.brand": "brand",
    "chart.group.location": "location",
    "chart.group.none": "no {by}",
    "chart.group.others": "{n} other|{n} others",
    "chart.group.meaning": "Bars are split by tier.",
    "chart.revenue": "Revenue",
    "chart.revenue.by": "Revenue by {by}",
    "chart.revenue.told": "{first} earns most: {money}, {share} of the revenue.",
    "chart.stock_money": "Money in stock",
    "chart.stock_money.by": "Money in stock by {by}",
    "chart.stock_money.told": "{first} ties up most: {money}, {share} of the money in stock.",
    # Stock.
    "chart.stock_by_tier": "Money in stock by tier",
    "chart.stock_by_tier.meaning": "What stands on the shelves, by how well it performs.",
    "chart.stock_by_tier.products": "Products in stock",
    "chart.stock_by_tier.told": "{money}, {share} of the money in stock, lies in Low products.",
    "chart.cover": "How long the stock lasts",
    "chart.cover.meaning": "Money in stock by weeks of cover, at the expected demand; marked from "
    "{n} weeks on.",
    "chart.cover.under": "under {weeks}",
    "chart.cover.between": "{low} to {high}",
    "chart.cover.over": "over {weeks}",
    "chart.cover.x": "Weeks that the stock lasts",
    "chart.cover.told": "{money}, {share} of it, lasts {n} weeks or more.",
    "chart.cover.told.middle": "{money}, {share} of it, lasts {n} weeks or more; the middle "
    "product in stock lasts {middle} weeks.",
    # Suppliers.
    "chart.earns": "What their range earns and ties up",
    "chart.earns.meaning": "Revenue of the period, and what stands in stock now; those that earn "
    "most.",
    "chart.earns.told": "{first} brings in most, {money}.",
    "chart.earns.told.tied": "{first} brings in most, {money}; the stock of {tied} ties up most, "
    "{stock}.",
    "chart.supplier_score": "Score of their products",
    "chart.supplier_score.meaning": "Point: the mean score, few products moved towards the mean "
    "of all. Bar: 90% interval. Where bars overlap, the order is open.",
    "chart.supplier_score.told": "The products of {name} score best, {score} on average: place "
    "{low} to {high} of {count} with a probability of 90%.",
    "chart.otif": "On time and in full",
    "chart.otif.meaning": "Point: the share of deliveries on time and in full. Bar: 90% interval. "
    "Dashed: the target, {target}.",
    "chart.otif.told": "{name} delivers worst: {share} on time and in full, {low} to {high} with a "
    "probability of 90%.",
    # Growth.
    "chart.growth": "Growth a year",
    "chart.growth.title": "Growth a year by {by}",
    "chart.growth.meaning": "Point: the estimate. Bar: where the truth lies with 95% certainty. "
    "Dashed: no change. Gray: not confirmed.",
    "chart.growth.told": "{best} grows most, {growth} a year",
    "chart.growth.told.shrinks": "{best} shrinks least, {growth} a year",
    "chart.growth.worst": "{worst} shrinks most, {growth}",
    # One product.
    "chart.weeks": "Units sold per week",
    "chart.weeks.meaning": "Bars: units of each week. Line: average of eight weeks.",
    "chart.weeks.meaning.forecast": "Bars: units of each week. Line: average of eight weeks. "
    "Dashed: the mean expected a week, with the range of 90%.",
    "chart.weeks.y": "Units a week",
    "chart.weeks.expected": "Expected a week",
    "chart.weeks.below": "5% lie below",
    "chart.weeks.above": "5% lie above",
    "chart.weeks.told": "{units} units a week over the last eight weeks",
    "chart.weeks.told.forecast": "{units} expected in the next {n} weeks, between {low} and {high} "
    "with a probability of 90%",
    "chart.history": "Score by run",
    "chart.history.meaning": "A point for each run that has the product.",
    "chart.history.meaning.profile": "A point for each run of the profile {profile} that has the "
    "product.",
    "chart.history.told": "It scores {score}.",
    "chart.history.told.runs": "It scores {score} in the last of {n} runs, and {first} in the "
    "first.",
    # Two runs.
    "chart.bridge": "What changed the revenue",
    "chart.bridge.meaning": "From the run before to this one; the parts add up.",
    "chart.bridge.meaning.cut": "From the run before to this one; the parts add up. The axis does "
    "not begin at zero.",
    "chart.bridge.after": "After",
    "chart.bridge.more": "{money} more than before; most of it by {part}: {by}.",
    "chart.bridge.less": "{money} less than before; most of it by {part}: {by}.",
}
