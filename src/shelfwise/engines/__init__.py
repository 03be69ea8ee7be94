"""The only place that knows pandas, Polars, DuckDB and PyArrow by name.

`files` opens paths, `frames` takes and gives back frames, `records` reads JSON and lists.
"""
