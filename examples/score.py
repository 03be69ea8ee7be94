"""Score the products of a file, and say what holds the best Medium one back."""

import sys

import shelfwise

analysis = shelfwise.analyze(sys.argv[1], on_error="skip")
print(analysis)
medium = analysis.to_dict()["data"]
best = min((p for p in medium if p["performance_tier"] == "Medium"), key=lambda p: p["rank"])
why = analysis.explain(best["product_id"])
print(f"{why.name}: {why.score:.1f} points, {why.to_high:,.0f} units short of High")
