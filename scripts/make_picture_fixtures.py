#!/usr/bin/env python3
"""Writes small pictures in every encoding and what Pillow and torchvision make of them.

usage: make_picture_fixtures.py [OUTPUT_FOLDER]      (default: Tests/Fixtures/pictures)

`expected.safetensors` holds uint8 [height, width, channels]:
  decode/FILE              Image.open(FILE).convert("RGB")
  gray/FILE                Image.open(FILE).convert("L")
  resize/FILE/WxH          Image.resize((W, H), BILINEAR)
  region/FILE/X,Y,W,H/SxT  Image.crop((X, Y, X+W, Y+H)).resize((S, T), BILINEAR)
  evaluate/FILE/R,C        torchvision Resize(R), CenterCrop(C)
and float32 normalize/FILE: ToTensor, Normalize(imagenet). The metadata holds the versions.
16-bit greyscale is the one place where we differ from Pillow on purpose: its high byte is kept.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy
import PIL
import torch
import torchvision
from PIL import Image, features
from safetensors.torch import save_file
from torchvision import transforms

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Tests/Fixtures/pictures"


def scene(width, height, seed):
    """Smooth colours, sharp edges and a little noise: what codecs and filters find hard."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [127 + 100 * numpy.sin(x / 5 + seed), 255 * y / height, 90 + 80 * numpy.cos((x + y) / 7)]
    picture = numpy.stack(planes, axis=-1)
    picture[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [250, 20, 40]
    picture += numpy.random.default_rng(seed).normal(0, 6, picture.shape)
    return numpy.clip(picture, 0, 255).astype(numpy.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_rows(samples, depth):
    """Rows of a PNG image, each with filter type 0; samples: [height, width, channels]."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(numpy.uint8).tobytes()
        else:
            bits = "".join(format(int(value), f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + data
    return rows


def png(samples, depth, color, palette=None, transparency=None, interlaced=False):
    """A PNG of any colour type and depth; Pillow itself writes few of them."""
    height, width = samples.shape[:2]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in passes]
        data = b"".join(packed_rows(part, depth) for part in parts if part.size)
    else:
        data = packed_rows(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    result = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if palette is not None:
        result += chunk(b"PLTE", palette.astype(numpy.uint8).tobytes())
    if transparency is not None:
        result += chunk(b"tRNS", transparency)
    return result + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def jpeg(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def make_jpegs():
    photo = Image.fromarray(scene(61, 43, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "420.jpg": jpeg(photo, quality=80),
        "422.jpg": jpeg(photo, quality=80, subsampling="4:2:2"),
        "444.jpg": jpeg(photo, quality=92, subsampling="4:4:4"),
        "progressive.jpg": jpeg(photo, quality=80, progressive=True),
        "restart.jpg": jpeg(photo, quality=80, restart_marker_blocks=2),
        "gray.jpg": jpeg(photo.convert("L"), quality=85),
        "exif-rotated.jpg": jpeg(photo, quality=80, exif=exif),
        "one-pixel.jpg": jpeg(photo.crop((30, 20, 31, 21))),
        "wide.jpg": jpeg(Image.fromarray(scene(400, 5, 2)), quality=70),
        "cmyk.jpg": jpeg(photo.convert("CMYK"), quality=80),
    }
    return files


def make_pngs():
    color = scene(29, 17, 3).astype(numpy.int64)
    gray = color[:, :, :1]
    alpha = (numpy.arange(29 * 17).reshape(17, 29, 1) * 7) % 256
    palette = numpy.random.default_rng(4).integers(0, 256, (256, 3))
    wide = lambda values: values * 257 - (values % 3) * 40 * (values > 1)
    files = {
        "rgb8.png": png(color, 8, 2),
        "rgb16.png": png(wide(color), 16, 2),
        "rgba8.png": png(numpy.concatenate([color, alpha], axis=-1), 8, 6),
        "rgba16.png": png(wide(numpy.concatenate([color, alpha], axis=-1)), 16, 6),
        "graya8.png": png(numpy.concatenate([gray, alpha], axis=-1), 8, 4),
        "graya16.png": png(wide(numpy.concatenate([gray, alpha], axis=-1)), 16, 4),
        "gray16.png": png(wide(gray), 16, 0),
        "rgb8-transparent.png": png(color, 8, 2, transparency=struct.pack(">HHH", 250, 20, 40)),
        "rgb8-interlaced.png": png(color, 8, 2, interlaced=True),
        "graya16-interlaced.png": png(wide(numpy.concatenate([gray, alpha], axis=-1)), 16, 4, interlaced=True),
        "palette8-beyond.png": png(gray, 8, 3, palette=palette[:100]),
        "palette4-alpha.png": png(gray >> 4, 4, 3, palette=palette[:16], transparency=bytes(range(0, 240, 15))),
        "palette2-interlaced.png": png(gray >> 6, 2, 3, palette=palette[:4], interlaced=True),
    }
    for depth in (1, 2, 4, 8):
        files[f"gray{depth}.png"] = png(gray >> (8 - depth), depth, 0)
        files[f"palette{depth}.png"] = png(gray >> (8 - depth), depth, 3, palette=palette[: 1 << depth])
    return files


def array(picture):
    pixels = torch.from_numpy(numpy.array(picture))
    return (pixels if pixels.dim() == 3 else pixels.unsqueeze(-1)).contiguous()


def opened(data, name):
    picture = Image.open(io.BytesIO(data))
    if name == "gray16.png":
        samples = numpy.array(picture).astype(numpy.uint16)
        return Image.fromarray((samples >> 8).astype(numpy.uint8))
    return picture


def expected_values(files):
    expected = {}
    for name, data in files.items():
        if name == "cmyk.jpg":
            continue
        expected[f"decode/{name}"] = array(opened(data, name).convert("RGB"))
    for name in ("420.jpg", "gray.jpg", "rgba8.png", "palette4.png", "gray16.png"):
        expected[f"gray/{name}"] = array(opened(files[name], name).convert("L"))
    for name, sizes in {
        "444.jpg": [(224, 224), (30, 21), (7, 5), (61, 20), (24, 43), (1, 1), (62, 43), (61, 44), (3, 90)],
        "wide.jpg": [(13, 5), (400, 2), (11, 9)],
        "gray.jpg": [(20, 31), (100, 12)],
        "one-pixel.jpg": [(4, 6)],
    }.items():
        picture = Image.open(io.BytesIO(files[name]))
        for size in sizes:
            if size != (224, 224):
                key = f"resize/{name}/{size[0]}x{size[1]}"
                expected[key] = array(picture.resize(size, Image.Resampling.BILINEAR))
    picture = Image.open(io.BytesIO(files["444.jpg"]))
    for x, y, w, h, s, t in [(3, 5, 40, 30, 16, 16), (20, 2, 9, 41, 24, 24), (0, 0, 61, 1, 5, 3), (44, 26, 17, 17, 17, 8)]:
        part = picture.crop((x, y, x + w, y + h)).resize((s, t), Image.Resampling.BILINEAR)
        expected[f"region/444.jpg/{x},{y},{w},{h}/{s}x{t}"] = array(part)
    for name, resize, crop in [("420.jpg", 32, 28), ("420.jpg", 21, 24), ("wide.jpg", 8, 9), ("422.jpg", 43, 33)]:
        steps = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop)])
        picture = Image.open(io.BytesIO(files[name])).convert("RGB")
        expected[f"evaluate/{name}/{resize},{crop}"] = array(steps(picture))
    steps = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    )
    expected["normalize/rgb8.png"] = steps(Image.open(io.BytesIO(files["rgb8.png"])))
    return expected


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {**make_jpegs(), **make_pngs()}
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
    versions = {
        "made_by": "scripts/make_picture_fixtures.py",
        "pillow": PIL.__version__,
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "torchvision": torchvision.__version__,
    }
    save_file(expected_values(files), FOLDER / "expected.safetensors", metadata=versions)
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(files)} pictures, {total} bytes with what is expected of them")


main()
