"""What is a key, and that every key works."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.objects import ObjectMissing, Store, checked, checked_prefix
from store.posix import PosixStore

ALPHABET = string.ascii_letters + string.digits + "._@=+-"

segments = st.text(ALPHABET, min_size=1, max_size=40).filter(lambda text: not text.startswith("."))
keys = st.lists(segments, min_size=1, max_size=5).map("/".join)


def is_key_by_the_letter(text: str) -> bool:
    """The rules of the protocol, spelled without a regular expression."""
    parts = text.split("/")
    return len(text) <= 1024 and all(
        0 < len(part) <= 255 and part[0] != "." and set(part) <= set(ALPHABET) for part in parts
    )


@given(keys)
def test_every_key_of_the_alphabet_is_a_key(key: str):
    assert checked(key) == key
    assert checked_prefix(f"{key}/") == f"{key}/"


@given(st.text(st.sampled_from("aZ0._@=+-/ \\\x00\n~%٣é*:"), max_size=12) | st.text(max_size=12))
def test_a_text_is_a_key_exactly_if_the_rules_say_so(text: str):
    try:
        accepted = checked(text) == text
    except ValueError:
        accepted = False
    assert accepted == is_key_by_the_letter(text)


@pytest.mark.parametrize(
    "key",
    ["", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/../b", ".a", "a/.b", "...", "a b", "a\\b",
     "a\x00", "a\n", "٣", "\uff41", "é", "a:b", "a%2fb", "~", "a" * 256, "a/" * 512 + "a"],
)  # fmt: skip
def test_what_breaks_a_rule_is_no_key(key: str):
    with pytest.raises(ValueError, match="key"):
        checked(key)


@pytest.mark.parametrize("key", ["a" * 255, "/".join(["a" * 200] * 5), "a..b", "a.", "-", "=", "@", "_"])
def test_odd_keys_within_the_rules_are_keys(key: str, tmp_path: Path):
    store = PosixStore(tmp_path)
    store.put(checked(key), b"1")
    assert [info.key for info in store.list("")] == [key]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(keys, st.binary(max_size=100), min_size=1, max_size=6))
def test_any_set_of_keys_is_kept_listed_and_deleted(store: Store, objects: dict[str, bytes]):
    objects = {
        key: data for key, data in objects.items() if not any(is_below(other, key) for other in objects)
    }
    for key, data in objects.items():
        store.put(key, data)
    assert {key: store.get(key).data for key in objects} == objects
    assert [(info.key, info.size) for info in store.list("")] == [
        (key, len(data)) for key, data in sorted(objects.items())
    ]
    store.delete(objects)
    assert list(store.list("")) == []
    for key in objects:
        with pytest.raises(ObjectMissing):
            store.head(key)


def is_below(key: str, folder: str) -> bool:
    return key.startswith(f"{folder}/")
