"""Negotiation, preconditions and ranges as pure functions, against RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.replies.conditional import byte_range, gzip_wanted, not_modified
from api.replies.errors import PreconditionFailed, RangeNotSatisfiable

TAG = b'"abc"'


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"br, gzip;q=0.5", True),
        (b"*", True),
        (b"gzip; q=1.000", True),
        (b"", False),
        (b"identity", False),
        (b"br", False),
        (b"gzip;q=0", False),
        (b"*;q=0", False),
        (b"gzip;q=0, *", False),
        (b"identity, gzip;q=0.5", False),
        (b"gzip;q=nonsense", False),
        (b"gzip;q=2", False),
        (b",,;q=1,", False),
        (b"\xff", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(field, wanted):
    assert gzip_wanted(field) is wanted


@pytest.mark.parametrize(
    ("field", "same"),
    [
        (b'"abc"', True),
        (b'W/"abc"', True),
        (b'"x", W/"abc" ,"y"', True),
        (b"*", True),
        (b'"a,c","abc"', True),
        (b'"x"', False),
        (b"abc", False),
        (b'"ABC"', False),
        (b"", False),
        (b'"ab', False),
        (b'"x,"', False),
    ],
)
def test_if_none_match_compares_weakly(field, same):
    assert not_modified({b"if-none-match": field}, TAG) is same


def test_if_match_compares_strongly():
    assert not_modified({b"if-match": b'"x", "abc"'}, TAG) is False
    for field in (b'W/"abc"', b'"x"', b""):
        with pytest.raises(PreconditionFailed):
            not_modified({b"if-match": field}, TAG)


@given(st.integers(0, 60), st.integers(0, 80), st.integers(0, 80))
def test_a_range_selects_the_bytes_from_first_to_last(size, first, last):
    data = bytes(range(size))
    field = {b"range": b"bytes=%d-%d" % (first, last)}
    if last < first:
        assert byte_range(field, TAG, size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            byte_range(field, TAG, size)
    else:
        expected = [byte for place, byte in enumerate(data) if first <= place <= last]
        assert list(data[byte_range(field, TAG, size)]) == expected


@given(st.integers(0, 60), st.integers(0, 80))
def test_a_suffix_selects_the_last_bytes(size, length):
    field = {b"range": b"bytes=-%d" % length}
    if not size or not length:
        with pytest.raises(RangeNotSatisfiable):
            byte_range(field, TAG, size)
    else:
        data = bytes(range(size))
        assert data[byte_range(field, TAG, size)] == data[-length:]


@given(st.binary(max_size=40))
def test_no_field_makes_it_fail(field):
    gzip_wanted(field)
    not_modified({b"if-none-match": field}, TAG)
    for value in (field, b"bytes=" + field):
        try:
            part = byte_range({b"range": value, b"if-range": TAG}, TAG, 10)
        except RangeNotSatisfiable:
            continue
        assert part is None or 0 <= part.start < part.stop <= 10


def test_numbers_too_long_for_int_are_no_trouble():
    assert byte_range({b"range": b"bytes=1-" + b"9" * 9000}, TAG, 10) == slice(1, 10)
    assert byte_range({b"range": b"bytes=" + b"0" * 9000 + b"1-2"}, TAG, 10) == slice(1, 3)


def test_empty_list_elements_of_a_range_are_skipped():
    assert byte_range({b"range": b"bytes=, 2-3 ,"}, TAG, 10) == slice(2, 4)
