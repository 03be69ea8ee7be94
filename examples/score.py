"""Scores the products of a file and says what the best Medium one lacks."""

import sys

import shelfwise

analysis = shelfwise.analyze(sys.argv[1], on_error="skip")
print(analysis)
scored = analysis.products.sort("rank").rows(named=True)
best = next(row for row in scored if row["performance_tier"] == "Medium")
why = analysis.explain(best["product_id"])
print(f"{why.name}: {why.score:.1f} points, {why.to_high:,.0f} units short of High")
