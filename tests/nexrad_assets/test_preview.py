"""The preview is checked by Pillow, which reads both PNGs independently."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nexrad_assets.preview import as_markdown, preview
from nexrad_assets.radar.image import png

PALETTE = np.random.default_rng(1).integers(0, 256, (256, 4)).astype(np.uint8)


def picture(size: int, filled: float = 1.0) -> bytes:
    random = np.random.default_rng(2)
    rows = png.blank_rows(size)
    rows[:, 1:] = random.integers(0, 256, (size, size)) * (random.random((size, size)) < filled)
    return png.encode(rows, PALETTE)


def with_filters(filters: list[int]) -> bytes:
    """A whole palette PNG, one pixel wide, its rows with these filter types."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, len(filters), 8, 3, 0, 0, 0)
    body = zlib.compress(b"".join(bytes((one, 1)) for one in filters))
    return (
        png.SIGNATURE
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", bytes(9))
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("filled", [0.0, 0.05, 1.0], ids=["empty", "quiet", "full"])
@pytest.mark.parametrize(
    ("size", "small", "step"), [(2700, 159, 17), (160, 160, 1), (64, 64, 1), (161, 81, 2)]
)
def test_a_preview_shows_every_nth_pixel_in_the_same_colours(size, small, step, filled):
    image = picture(size, filled)
    shown = Image.open(io.BytesIO(preview(image)))
    assert shown.size == (small, small)
    whole = np.asarray(Image.open(io.BytesIO(image)).convert("RGBA"))
    np.testing.assert_array_equal(np.asarray(shown.convert("RGBA")), whole[::step, ::step])


def test_a_preview_of_the_noisiest_picture_stays_below_thirty_kilobytes():
    assert len(preview(picture(2700))) < 30_000


def test_what_is_not_one_of_our_pictures_is_refused():
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG")
    grey = io.BytesIO()
    Image.new("L", (8, 8)).save(grey, "PNG")
    for other in (b"", jpeg.getvalue(), grey.getvalue(), picture(64)[:200], picture(64, 0.05)[:1200]):
        with pytest.raises(ValueError, match="PNG"):
            preview(other)


@pytest.mark.parametrize(("filters", "indices"), [([0, 0, 0], [1, 1, 1]), ([2, 2, 2], [1, 2, 3])])
def test_rows_of_one_filter_are_read(filters, indices):
    shown = np.asarray(Image.open(io.BytesIO(preview(with_filters(filters)))))
    assert shown.ravel().tolist() == indices


@pytest.mark.parametrize("filters", [[1, 1], [3, 3], [4, 4], [0, 2], [2, 0], [7, 7]])
def test_rows_of_other_or_several_filters_are_refused(filters):
    with pytest.raises(ValueError, match="filter"):
        preview(with_filters(filters))


def test_markdown_holds_the_picture_itself():
    assert as_markdown(b"\x89PNG", "KPDT") == "![KPDT](data:image/png;base64,iVBORw==)"
