"""A small shop: what it sells, who ordered what, and what the day brought."""
