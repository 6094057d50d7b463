"""What an order costs. Prices are cents."""

from __future__ import annotations

DOZEN = 12
DISCOUNT = 10
"""Percent off whole dozens."""


def total(price: int, count: int) -> int:
    """Return the price of so many pieces; raise ValueError for none."""
    if count < 1:
        raise ValueError("expected at least one piece")
    dozens, rest = divmod(count, DOZEN)
    return dozens * DOZEN * price * (100 - DISCOUNT) // 100 + rest * price
