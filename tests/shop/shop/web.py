"""The shop's pages, as JSON."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, jsonify, request

from shop.db import connect
from shop.prices import total

VERSION = Path("VERSION").read_text(encoding="utf-8").strip()

app = Flask(__name__)


@app.get("/")
def products() -> Response:
    """What is for sale."""
    with connect() as db:
        rows = db.execute("SELECT id, name, price FROM products ORDER BY id").fetchall()
    return jsonify([{"id": number, "name": name, "price": price} for number, name, price in rows])


@app.post("/orders")
def order() -> tuple[Response, int]:
    """Take an order, {"product": 1, "count": 2}; the worker sends it."""
    wish = request.get_json()
    with connect() as db:
        found = db.execute("SELECT price FROM products WHERE id = %s", (wish["product"],)).fetchone()
        if found is None:
            return jsonify(error="there is no such product"), 404
        row = (wish["product"], wish["count"], total(found[0], wish["count"]))
        placed = db.execute("INSERT INTO orders (product, count, total) VALUES (%s, %s, %s) RETURNING id", row).fetchone()
        assert placed is not None
        db.execute("NOTIFY orders")
    return jsonify(id=placed[0]), 201


@app.get("/orders/<int:number>")
def order_state(number: int) -> tuple[Response, int]:
    """What became of an order."""
    with connect() as db:
        found = db.execute("SELECT sent IS NOT NULL, total FROM orders WHERE id = %s", (number,)).fetchone()
    if found is None:
        return jsonify(error="there is no such order"), 404
    return jsonify(sent=found[0], total=found[1]), 200


@app.get("/report")
def report() -> Response:
    """What the last nightly run found."""
    with connect() as db:
        found = db.execute("SELECT day, orders, total FROM reports ORDER BY day DESC LIMIT 1").fetchone()
    return jsonify(dict(zip(("day", "orders", "total"), map(str, found), strict=True)) if found else None)


@app.get("/version")
def version() -> str:
    """Which release answers."""
    return VERSION


@app.get("/health")
def health() -> str:
    """Whether the shop can sell: it reaches its database, and finds the tables that it needs."""
    with connect() as db:
        db.execute("SELECT 1 FROM orders LIMIT 1")
    return "well"
