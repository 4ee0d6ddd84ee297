"""The cache keeps to its budget, and to what was used last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.oracle._prefix_cache import PrefixCache


@given(st.integers(0, 40), st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 20))))
def test_bytes_never_exceed_the_budget(capacity, rounds):
    cache = PrefixCache(capacity)
    kept = {}
    for sizes in rounds:
        keys = {("rows", output): size for output, size in sizes.items()}
        in_use = [key for key in keys if key in cache]
        wanted = {key: size for key, size in keys.items() if key not in cache}
        chosen = cache.reserve(wanted, in_use)
        assert all(key in cache for key in in_use)
        assert cache.num_bytes + sum(wanted[key] for key in chosen) <= capacity
        for key in chosen:
            cache.put(key, [key], wanted[key])
            kept[key] = wanted[key]
        assert cache.num_bytes == sum(size for key, size in kept.items() if key in cache)
        assert all(cache.read(key) == [key] for key in kept if key in cache)
        kept = {key: size for key, size in kept.items() if key in cache}


def test_the_least_recently_used_goes_first():
    cache = PrefixCache(3)
    for output in range(3):
        cache.reserve({("rows", output): 1}, [])
        cache.put(("rows", output), [], 1)
    cache.read(("rows", 0))
    cache.reserve({("rows", 3): 1}, [])
    assert [output for output in range(3) if ("rows", output) in cache] == [0, 2]
