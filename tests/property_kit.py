"""What the property tests share: how many examples they take, and awkward values."""

import os
from typing import Any

import hypothesis
from hypothesis import strategies as st

FACTOR = "PROPERTY_FACTOR"
"""Environment variable: how many times more examples than in the default run."""

AWKWARD = "\x00\t\n\r\x0b\x0c\x1b\x1f\x7f\x85\xa0\u2028\u2029\ufeff\ufffe\U0001f9e0\"'\\#[]{}=.,:"
"""Characters that parsers cut, escape or choke at."""


def examples(count: int) -> Any:
    """Return settings for a bounded number of examples, all of them new in each run."""
    factor = int(os.environ.get(FACTOR, "1"))
    checks = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
    return hypothesis.settings(
        max_examples=count * factor, deadline=None, suppress_health_check=checks, database=None
    )


def words(most: int = 30) -> st.SearchStrategy[str]:
    """Texts as UTF-8 can carry them, with many awkward characters."""
    letters = st.characters(exclude_categories=["Cs"]) | st.sampled_from(AWKWARD)
    return st.text(letters, max_size=most)


NUMBERS = st.integers() | st.sampled_from(
    [0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | words(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words(12), inner, max_size=4),
    max_leaves=8,
)
DEEP = b"[" * 100_000
