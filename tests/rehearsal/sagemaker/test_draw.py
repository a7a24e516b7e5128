"""The choice of a variant, as pure arithmetic."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.overlay.sagemaker_runtime import draw

weights = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1e6), max_size=6)


@given(weights, st.integers())
def test_a_draw_has_a_weight_or_there_is_none(weights, seed):
    chosen = draw(weights, random.Random(seed))
    if sum(weights.values()) == 0:
        assert chosen is None
    else:
        assert chosen is not None
        assert weights[chosen] > 0


@given(weights, st.integers())
def test_the_same_seed_draws_the_same(weights, seed):
    def ten() -> list[str | None]:
        source = random.Random(seed)
        return [draw(weights, source) for _ in range(10)]

    assert ten() == ten()


def test_shares_follow_the_weights():
    source = random.Random(7)
    counts = Counter(draw({"stable": 9.0, "none": 0.0, "canary": 1.0}, source) for _ in range(10_000))
    # 1,000 expected with a deviation of 30.
    assert 850 <= counts["canary"] <= 1150
    assert counts["none"] == 0
    assert counts["stable"] + counts["canary"] == 10_000
