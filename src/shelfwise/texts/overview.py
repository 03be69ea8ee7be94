"""Texts: the overview, and the comparison of profiles."""

TEXTS: dict[str, str] = {
    # Overview.
    "overview.title.changed": "{n} product really changed since {day}|"
    "{n} products really changed since {day}",
    "overview.title.pareto": "{share} of products earn {of} of revenue",
    "overview.title.nothing": "None of the {count} products sold anything",
    "overview.pareto": "{share} of products earn {of} of revenue.",
    "overview.reorder": "{n} product to reorder now.|{n} products to reorder now.",
    "overview.changed": "See what changed.",
    "kpi.revenue": "Revenue",
    "kpi.revenue.before": "{change} on the run of {day}",
    "kpi.revenue.units": "{units} units sold",
    "kpi.margin": "Gross margin",
    "kpi.margin.share": "{share} of revenue",
    "kpi.margin.part": "{share} of revenue, of the {known} products with a cost",
    "kpi.margin.known": "of the {known} products with a cost",
    "kpi.stock.cost": "Stock at cost",
    "kpi.stock.price": "Stock at list price",
    "kpi.stock.mixed": "Stock at cost, {count} at list price",
    "kpi.stock.note": "{units} units on hand",
    "kpi.reorder": "To reorder now",
    "kpi.reorder.note": "{money} to order",
    "kpi.clear": "To clear out",
    "kpi.clear.note": "{money} tied up",
    "kpi.score": "Mean score",
    "kpi.score.note.clusters": "tiers follow clusters, no score parts them",
    "kpi.score.note": "High from {high}, Low to {low}",
    "overview.reorder.title": "Reorder first",
    "overview.reorder.meaning": "By the money that running out would cost.",
    "overview.clear.title": "Clear out first",
    "overview.clear.meaning": "By the money tied up beyond need.",
    "overview.nothing_to_reorder": "Nothing has to be reordered now.",
    "overview.nothing_to_clear": "Nothing has to be cleared out.",
    "overview.decide": "What to reorder and to clear is worked out on the Inventory page.",
    "overview.warning.title": "Before you trust the scores",
    "overview.alone": "{name} alone sets the top of the scale of {metric}: the product after it "
    "reaches {share} of it.",
    "overview.compare": "See who would change tier under the profile {profile}",
    # Profiles.
    "profiles.title": "{n} product would change tier under {name}|"
    "{n} products would change tier under {name}",
    "profiles.title.impossible": "The profile {name} cannot be used here",
    "profiles.lead": "Of the {best} best sellers, {before} are Low under {mine}, and {after} under "
    "{name}.",
    "profiles.with": "Compare with",
    "profiles.moves": "From which tier to which",
    "profiles.moves.meaning": "Only products whose tier differs are counted.",
    "profiles.rows": "Who would change",
    "profiles.rows.meaning": "The products that earn most first.",
    "profiles.more": "And {n} product more.|And {n} products more.",
    "profiles.before": "Under {name}",
    "profiles.after": "Under {name}",
    "profiles.same": "No tier depends on which of the two is chosen.",
    "profiles.choose": "To keep a run under {name}, choose it when you upload the products, or "
    "say --profile {name} on the command line.",
}
