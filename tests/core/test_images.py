import io

import pytest

from pinjra.core.images import image_type, png_of

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK", "HSV", "YCbCr"]
)
def test_an_image_of_any_mode_has_a_png(mode):
    data = png_of(Image.new(mode, (3, 2)))
    assert image_type(data) == "image/png"
    assert Image.open(io.BytesIO(data)).size == (3, 2)


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp"])
def test_the_first_bytes_tell_what_an_image_is(form):
    data = io.BytesIO()
    Image.new("RGB", (3, 2)).save(data, form)
    assert image_type(data.getvalue()) == f"image/{form}"


def test_what_is_no_image_has_no_type():
    assert [image_type(data) for data in (b"", b"RIFF1234WAVE", b"<svg/>")] == ["", "", ""]
