"""What a person would write from the method's description, and the floor below it.

`reference_app` is the plain program: Flask, pandas, scikit-learn, one dict per row.
`floor` only decodes the same body and encodes a ready answer: nobody can be faster with
this parser.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pandas as pd
from flask import Flask, Response, jsonify, request
from sklearn.cluster import KMeans
from sklearn.preprocessing import MinMaxScaler


def reference_app() -> Flask:
    """The plain program, answering POST /product-analysis."""
    app = Flask("reference")

    @app.post("/product-analysis")
    def product_analysis() -> Response:
        frame = pd.DataFrame(request.get_json())
        frame["revenue"] = frame["price"] * frame["units_sold"]
        frame["stock_ratio"] = frame["units_sold"] / (frame["stock"] + frame["units_sold"])
        frame["sales_velocity"] = frame["units_sold"] / frame["price"]
        frame = frame.fillna(0.0)
        metrics = ["revenue", "stock_ratio", "sales_velocity"]
        scaled = MinMaxScaler().fit_transform(frame[metrics])
        frame["performance_score"] = 100 * (scaled @ [0.5, 0.3, 0.2])
        ordered = frame["performance_score"].rank(pct=True)
        frame["performance_tier"] = pd.cut(
            ordered, [0, 0.2, 0.8, 1], labels=["Low", "Medium", "High"], include_lowest=True
        ).astype(str)
        model = KMeans(n_clusters=3, n_init=10, random_state=42)
        frame["cluster"] = model.fit_predict(scaled)
        names = frame.groupby("cluster")["performance_score"].mean().sort_values().index
        frame["cluster"] = frame["cluster"].map(
            dict(zip(names, ("Low", "Medium", "High"), strict=False))
        )
        frame["rank"] = frame["performance_score"].rank(ascending=False, method="min").astype(int)
        best = frame.loc[frame["performance_score"].idxmax(), "name"]
        summary = {
            "products": len(frame),
            "avg_score": float(frame["performance_score"].mean()),
            "top_product": best,
            "total_revenue": float(frame["revenue"].sum()),
            "tiers": frame["performance_tier"].value_counts().to_dict(),
        }
        return jsonify(
            {"status": "success", "data": frame.to_dict(orient="records"), "summary": summary}
        )

    return app


class _Product(msgspec.Struct, gc=False):
    product_id: int
    name: str
    price: float
    units_sold: float
    stock: float


def floor(body: bytes, answer: bytes) -> Callable[[], bytes]:
    """Decode `body`, encode an answer like `answer` from structs that are ready."""
    rows = msgspec.json.decode(answer)["data"]
    fields = [(key, Any) for key in rows[0]]
    struct = msgspec.defstruct("Row", fields, gc=False)
    ready = [struct(**row) for row in rows]
    decoder = msgspec.json.Decoder(list[_Product])

    def run() -> bytes:
        decoder.decode(body)
        return msgspec.json.encode(ready)

    return run
