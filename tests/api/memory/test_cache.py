"""The bounded cache: what was used last stays, and what goes ends without holding up anybody."""

import threading

import pytest

from api.memory.cache import BoundedCache


def test_what_was_used_last_stays():
    cache = BoundedCache[str, str](10)
    for name in "abc":
        cache.put(name, name.upper(), 4)
    assert cache.items() == [("b", "B"), ("c", "C")]
    assert cache.get("b") == "B"
    cache.put("d", "D", 4)
    assert cache.items() == [("b", "B"), ("d", "D")]
    assert (cache.weight, cache.hits, cache.misses) == (8, 1, 0)


def test_what_weighs_more_than_the_whole_bound_is_not_kept_nor_what_it_replaces():
    cache = BoundedCache[str, str](10)
    cache.put("a", "A", 4)
    cache.put("a", "B", 11)
    assert (cache.items(), cache.weight) == ([], 0)


def test_what_is_dropped_weighs_nothing():
    cache = BoundedCache[str, str](10)
    cache.put("a", "A", 4)
    for _ in range(2):
        cache.drop("a")
        assert (cache.get("a"), cache.weight) == (None, 0)


class Looking:
    """Looks into the cache when it ends, as another thread may while the end of something takes long."""

    def __init__(self, cache: BoundedCache, seen: list) -> None:
        self._cache, self._seen = cache, seen

    def __del__(self) -> None:
        self._seen.append(self._cache.get("other"))


@pytest.mark.parametrize("end", ["drop", "displace", "replace"])
def test_the_end_of_what_goes_is_waited_for_by_nobody_else(end):
    cache, seen = BoundedCache[str, object](3), []
    cache.put("it", Looking(cache, seen))
    cache.put("other", 1)
    ends = {
        "drop": lambda: cache.drop("it"),
        "displace": lambda: cache.put("large", 2, 2),
        "replace": lambda: cache.put("it", 3),
    }
    thread = threading.Thread(target=ends[end], daemon=True)
    thread.start()
    thread.join(5)
    assert seen == [1]
