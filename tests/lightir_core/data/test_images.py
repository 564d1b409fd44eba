import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core.data import images
from lightir_core.data.images import (
    decode,
    file_mode,
    image_paths,
    read_gallery,
    read_image,
    to_pixels,
    to_tensor,
    write_image,
)
from lightir_core.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".tif", ".tiff", ".bmp"])
def test_a_lossless_image_comes_back_as_it_was_written(tmp_path, ending):
    write_image(tmp_path / f"new/a{ending}", RGB)
    assert np.array_equal(read_image(tmp_path / f"new/a{ending}"), RGB)


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_a_lossy_image_keeps_its_size(tmp_path, ending):
    write_image(tmp_path / f"a{ending}", RGB)
    assert read_image(tmp_path / f"a{ending}").shape == RGB.shape


def test_writing_leaves_no_other_file_and_replaces_the_old_one(tmp_path):
    write_image(tmp_path / "a.png", RGB)
    write_image(tmp_path / "a.png", 255 - RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(tmp_path / "a.png"), 255 - RGB)


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("a.png", RGB.astype(float), "float64"),
        ("a.png", RGB[:, :, 0], r"got \(7, 9\)"),
        ("a.gif", RGB, "cannot write '.gif'"),
    ],
)
def test_only_8_bit_rgb_is_written(tmp_path, name, pixels, reason):
    with pytest.raises(DataError, match=reason):
        write_image(tmp_path / name, pixels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("mode", "ending", "expected_note"),
    [
        ("L", "png", "grey repeated in three channels"),
        ("1", "png", "grey repeated in three channels"),
        ("RGBA", "png", "alpha dropped"),
        ("LA", "png", "alpha dropped"),
        ("RGBA", "webp", "alpha dropped"),
        ("P", "png", "palette converted to RGB"),
        ("CMYK", "jpg", "CMYK converted to RGB"),
        ("CMYK", "tif", "CMYK converted to RGB"),
        ("YCbCr", "tif", None),
    ],
)
def test_every_mode_becomes_rgb_with_a_note(tmp_path, mode, ending, expected_note):
    path = tmp_path / f"a.{ending}"
    image = PIL.Image.fromarray(RGB).convert(mode)
    if mode.endswith("A"):
        image.putalpha(13)  # WebP does not store an alpha of 255 everywhere
    image.save(path)
    pixels, notes = decode(path)
    assert pixels.shape == (7, 9, 3)
    assert pixels.dtype == np.uint8
    assert expected_note is None or expected_note in notes


def test_dropping_alpha_keeps_the_colours_below_it(tmp_path):
    rgba = np.dstack([RGB, np.full((7, 9), 13, np.uint8)])
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), RGB)


def test_sixteen_bit_grey_is_scaled_with_rounding(tmp_path):
    # 65535 = 257 * 255: the ends stay the ends, 128.5 levels * 257 lie between 128 and 129
    samples = np.array([[0, 128, 129, 257 * 77, 65_535]], dtype=np.uint16)
    PIL.Image.fromarray(samples).save(tmp_path / "a.png")
    pixels, notes = decode(tmp_path / "a.png")
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 77, 255]
    assert notes == ("16 bits scaled to 8", "grey repeated in three channels")


def test_sixteen_bit_colour_is_read_and_said(tmp_path):
    # Pillow cannot write 16-bit colour: a PNG of 1x1 pixel by hand (W3C PNG, section 11)
    header = b"\0\0\0\1\0\0\0\1\x10\2\0\0\0"
    pixel = b"\0" + bytes([200, 7, 100, 7, 50, 7])
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixel))
        + chunk(b"IEND", b"")
    )
    pixels, notes = decode(tmp_path / "a.png")
    assert pixels.tolist() == [[[200, 100, 50]]]
    assert notes == ("16 bits scaled to 8",)


def chunk(kind: bytes, body: bytes) -> bytes:

    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_floating_point_pixels_are_refused(tmp_path):
    PIL.Image.fromarray(RGB[:, :, 0].astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: .*floating-point pixels"):
        read_image(tmp_path / "a.tif")


def test_exif_orientation_is_applied(tmp_path):
    image = PIL.Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    image.save(tmp_path / "a.png", exif=exif)
    pixels, notes = decode(tmp_path / "a.png")
    assert np.array_equal(pixels, np.rot90(RGB, k=-1))
    assert notes == ("turned upright as its EXIF data say",)


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [PIL.Image.fromarray(RGB), PIL.Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    pixels, notes = decode(tmp_path / "a.tif")
    assert np.array_equal(pixels, RGB)
    assert notes == ("several frames, the first taken",)


def test_a_single_pixel_is_an_image(tmp_path):
    write_image(tmp_path / "a.png", RGB[:1, :1])
    assert np.array_equal(read_image(tmp_path / "a.png"), RGB[:1, :1])


def broken_files(folder):
    write_image(folder / "good.png", RGB)
    whole = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not an image")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut.png", "the image is damaged or not supported"),
        ("empty.png", "not a PNG, JPEG, WebP, TIFF or BMP image"),
        ("text.png", "not a PNG, JPEG, WebP, TIFF or BMP image"),
        ("gone.png", "there is no such file"),
        ("missing.png", "there is no such file"),
        ("", "not a file that can be read"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, name, reason):
    broken_files(tmp_path)
    with pytest.raises(DataError, match=f"{name}: {reason}"):
        read_image(tmp_path / name)


def test_a_pipe_does_not_wait_for_ever(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a file that can be read"):
        read_image(tmp_path / "a.png")


def test_an_image_above_pillows_limit_is_refused_by_name(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", RGB)
    for limit in (40, 20):  # Pillow warns above its limit and raises above twice its limit
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=rf"a\.png: more than {limit} pixels"):
            read_image(tmp_path / "a.png")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(max_size=6),
    is_cut=st.booleans(),
)
def test_a_damaged_file_is_read_or_refused_but_never_a_traceback(
    tmp_path_factory, kind, place, junk, is_cut
):
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, kind)
    whole = buffer.getvalue()
    at = int(place * len(whole))
    rest = b"" if is_cut else whole[at + len(junk) :]
    path = tmp_path_factory.mktemp("damaged") / "a.img"
    path.write_bytes(whole[:at] + junk + rest)
    try:
        pixels = read_image(path)
    except DataError as error:
        message = str(error)
    else:
        message = str(path)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
    assert str(path) in message


def test_a_gallery_is_sorted_and_names_what_it_left_out(tmp_path):
    broken_files(tmp_path)
    write_image(tmp_path / "deep/er/b.png", RGB[:3])
    PIL.Image.fromarray(RGB[:, :, 0]).save(tmp_path / "deep/a.png")
    (tmp_path / "notes.txt").write_text("no image, and no image's ending")
    write_image(tmp_path / ".hidden/c.png", RGB)
    write_image(tmp_path / ".hidden.png", RGB)
    gallery = read_gallery(tmp_path)
    assert [image.name for image in gallery.images] == ["deep/a.png", "deep/er/b.png", "good.png"]
    assert [note.partition(":")[0] for note in gallery.notes] == [
        "cut.png",
        "deep/a.png",
        "empty.png",
        "gone.png",
        "text.png",
    ]
    assert "deep/a.png: grey repeated in three channels" in gallery.notes
    assert "text.png: skipped, not a PNG, JPEG, WebP, TIFF or BMP image" in gallery.notes


def test_symbolic_links_are_followed_and_loops_end(tmp_path, draw_image):
    draw_image(tmp_path / "elsewhere/a.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    (folder / "b.png").symlink_to(tmp_path / "elsewhere/a.png")
    assert [path.relative_to(folder).as_posix() for path in image_paths(folder)] == [
        "b.png",
        "linked/a.png",
    ]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        read_gallery(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="this is a file; a folder of images was expected"):
        read_gallery(tmp_path / "file")


def test_a_folder_without_a_usable_image_is_refused_with_the_reasons(tmp_path):
    with pytest.raises(DataError, match=r"no usable image in this folder$"):
        read_gallery(tmp_path)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError, match=r"no usable image in this folder: text\.png: skipped, not"):
        read_gallery(tmp_path)


def test_more_than_memory_should_hold_is_refused(tmp_path, draw_image, monkeypatch):
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 24 * 20 * 3)
    draw_image(tmp_path / "a.png")
    assert len(read_gallery(tmp_path).images) == 1
    draw_image(tmp_path / "b.png")
    with pytest.raises(DataError, match="search data pack"):
        read_gallery(tmp_path)


def test_tensors_and_arrays_are_copies_of_each_other():
    tensor = to_tensor(RGB)
    assert tensor.shape == (3, 7, 9)
    assert tensor.is_contiguous()
    assert np.array_equal(to_pixels(tensor), RGB)
    tensor.zero_()
    assert RGB.any()
    assert tensor.dtype == torch.uint8


def test_a_files_mode_is_its_headers(tmp_path, draw_image):
    draw_image(tmp_path / "a.jpg")
    (tmp_path / "b.png").write_bytes(b"")
    assert file_mode(tmp_path / "a.jpg") == "JPEG RGB"
    assert file_mode(tmp_path / "b.png") == "unreadable"
