"""Names of a cluster: DNS takes them, and distinct ones stay distinct."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.dnsname import LIMIT, dns_name

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}", fullmatch=True)
END = st.sampled_from(["", "-own", "-front", "-r1", f"-r{10**12}"])


@given(NAME, END)
def test_dns_takes_it(name: str, end: str) -> None:
    made = dns_name(name, end)
    assert len(made) <= LIMIT
    assert re.fullmatch("[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", made) or made.endswith("-")
    assert made.endswith(end)


@given(NAME, NAME, END)
def test_distinct_names_stay_distinct(one: str, other: str, end: str) -> None:
    assert (dns_name(one, end) == dns_name(other, end)) is (one == other)


@pytest.mark.parametrize(
    ("name", "end", "made"),
    [
        ("shop", "-r1", r"shop-r1"),
        ("shop.web_1", "-r1", r"shop-web-1-[0-9a-f]{8}-r1"),
        ("shop-", "-r1", r"shop-[0-9a-f]{8}-r1"),
        ("s" * 63, "-r1", r"s{51}-[0-9a-f]{8}-r1"),
    ],
)
def test_names(name: str, end: str, made: str) -> None:
    assert re.fullmatch(made, dns_name(name, end))
