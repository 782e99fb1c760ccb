"""The preview is checked by Pillow, which reads both PNGs independently."""

import io

import numpy as np
import pytest
from PIL import Image

from nexrad_assets.preview import as_markdown, preview
from nexrad_assets.radar import png

PALETTE = np.random.default_rng(1).integers(0, 256, (256, 4)).astype(np.uint8)


def picture(size: int) -> bytes:
    rows = png.blank_rows(size)
    rows[:, 1:] = np.random.default_rng(2).integers(0, 256, (size, size), dtype=np.uint8)
    return png.encode(rows, PALETTE)


@pytest.mark.parametrize(
    ("size", "small", "step"), [(2700, 159, 17), (160, 160, 1), (64, 64, 1), (161, 81, 2)]
)
def test_a_preview_shows_every_nth_pixel_in_the_same_colours(size, small, step):
    image = picture(size)
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
    for other in (b"", jpeg.getvalue(), grey.getvalue(), picture(64)[:200]):
        with pytest.raises(ValueError, match="PNG"):
            preview(other)


def test_markdown_holds_the_picture_itself():
    assert as_markdown(b"\x89PNG", "KPDT") == "![KPDT](data:image/png;base64,iVBORw==)"
