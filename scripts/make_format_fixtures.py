#!/usr/bin/env python3
"""Writes a tiny picture in every kind that Pillow's encoders make, some that they do not, and what Pillow reads from each.

usage: make_format_fixtures.py [OUTPUT_FILE]      (default: Tests/Fixtures/pictures/formats.safetensors)

`file/NAME` holds a picture file's bytes, `rgb/NAME` uint8 [height, width, 3] of Image.open(FILE).convert("RGB"), `turned/NAME`
the same after ImageOps.exif_transpose where that changes it, `pad/WxH/S/FILTER` and `resize/WxH/SxT/bicubic` what ImageOps.pad
and Image.resize make of `source/WxH`. HEIC comes from libheif-examples. The metadata holds the versions. Greyscale of 16 bits is where we differ on purpose:
its high byte is kept.
"""
import io
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import PIL
from PIL import Image, ImageOps, features
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Tests/Fixtures/pictures/formats.safetensors"
WIDTH, HEIGHT = 19, 13


def scene(width, height, seed=1):
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [127 + 100 * numpy.sin(x / 3 + seed), 255 * y / height, 90 + 80 * numpy.cos((x + y) / 4)]
    picture = numpy.stack(planes, axis=-1)
    picture[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [250, 20, 40]
    picture += numpy.random.default_rng(seed).normal(0, 4, picture.shape)
    return numpy.clip(picture, 0, 255).astype(numpy.uint8)


COLOR = Image.fromarray(scene(WIDTH, HEIGHT))
ALPHA = Image.fromarray((numpy.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) * 7 % 256).astype(numpy.uint8))


def in_mode(mode):
    if mode in ("RGBA", "LA"):
        picture = COLOR.convert(mode)
        picture.putalpha(ALPHA)
        return picture
    if mode == "PA":
        return in_mode("RGBA").convert("PA")
    if mode == "P":
        return COLOR.quantize(37)
    grey = numpy.asarray(COLOR.convert("L")).astype(numpy.int32)
    if mode == "I;16":
        return Image.fromarray((grey * 257 - grey % 3 * 40 * (grey > 1)).astype(numpy.uint16))
    if mode == "I":
        return Image.fromarray((grey * 3 - 200).astype(numpy.int32))
    if mode == "F":
        return Image.fromarray((grey * 1.7 - 40).astype(numpy.float32))
    return COLOR.convert(mode)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation):
    result = Image.Exif()
    result[0x0112] = orientation
    return result


def jpegs():
    for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        for progressive in (False, True):
            name = f"{sampling.replace(':', '')}{'-progressive' if progressive else ''}"
            try:
                yield f"{name}.jpg", encoded(in_mode("RGB"), "JPEG", subsampling=sampling, progressive=progressive)
            except (TypeError, ValueError, OSError):
                print("not made:", name)
    for mode in ("1", "L", "CMYK"):
        for progressive in (False, True):
            yield f"{mode}{progressive:d}.jpg", encoded(in_mode(mode), "JPEG", quality=90, progressive=progressive)
    yield "keep-rgb.jpg", encoded(in_mode("RGB"), "JPEG", keep_rgb=True)
    yield "optimize.jpg", encoded(in_mode("RGB"), "JPEG", optimize=True, quality=30)
    cmyk = bytearray(encoded(in_mode("CMYK"), "JPEG", quality=90))
    adobe = cmyk.index(b"Adobe")
    cmyk[adobe + 11] = 2
    yield "ycck.jpg", bytes(cmyk)
    for orientation in range(1, 9):
        yield f"orientation{orientation}.jpg", encoded(in_mode("RGB"), "JPEG", exif=exif(orientation))


def pngs():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"{mode}.png", encoded(in_mode(mode), "PNG")
    for bits in (1, 2, 4):
        yield f"P{bits}.png", encoded(COLOR.quantize(1 << bits), "PNG", bits=bits, transparency=1)
    yield "L-transparent.png", encoded(in_mode("L"), "PNG", transparency=20)
    yield "RGB-transparent.png", encoded(in_mode("RGB"), "PNG", transparency=(250, 20, 40))
    yield "animated.png", encoded(in_mode("RGBA"), "PNG", save_all=True, append_images=[in_mode("RGBA").rotate(90)])
    yield "orientation6.png", encoded(in_mode("RGB"), "PNG", exif=exif(6))


def webps():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        yield f"{mode}.webp", encoded(in_mode(mode), "WEBP", quality=70)
        yield f"{mode}-lossless.webp", encoded(in_mode(mode), "WEBP", lossless=True, exact=True)
    yield "quality5.webp", encoded(in_mode("RGB"), "WEBP", quality=5, method=6)
    yield "alpha-quality.webp", encoded(in_mode("RGBA"), "WEBP", alpha_quality=10)
    frames = [in_mode("RGBA").rotate(90), in_mode("RGBA")]
    yield "animated.webp", encoded(in_mode("RGBA"), "WEBP", save_all=True, append_images=frames, duration=50)
    yield "animated-rgb.webp", encoded(
        in_mode("RGB"), "WEBP", save_all=True, append_images=[in_mode("RGB").rotate(180)], lossless=True
    )
    yield "orientation8.webp", encoded(in_mode("RGB"), "WEBP", exif=exif(8))


def gif_frame(width, height, frame, colors, indices, local=None, transparent=None, bits=8):
    """A GIF of one frame at frame = (x, y, w, h) whose indices are written without compression."""
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0 | (len(colors).bit_length() - 2), 3, 0)
    data += b"".join(bytes(color) for color in colors)
    if transparent is not None:
        data += b"!\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    flags = 0 if local is None else 0x80 | (len(local).bit_length() - 2)
    data += b"," + struct.pack("<HHHHB", *frame, flags) + b"".join(bytes(color) for color in local or [])
    clear, stop, codes = 1 << bits, (1 << bits) + 1, []
    for start in range(0, len(indices), 100):
        codes += [clear, *indices[start : start + 100]]
    bitstring = sum(code << (bits + 1) * place for place, code in enumerate(codes + [stop]))
    packed = bitstring.to_bytes((len(codes) + 1) * (bits + 1) // 8 + 1, "little")
    data += bytes([bits])
    for start in range(0, len(packed), 255):
        part = packed[start : start + 255]
        data += bytes([len(part)]) + part
    return data + b"\0;"


def gifs():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        for interlace in (0, 1):
            yield f"{mode}{interlace}.gif", encoded(in_mode(mode), "GIF", interlace=interlace)
    yield "transparent.gif", encoded(in_mode("P"), "GIF", transparency=3)
    yield "two-colors.gif", encoded(COLOR.quantize(2), "GIF")
    frames = [in_mode("RGB").rotate(90), in_mode("RGB").rotate(180)]
    yield "animated.gif", encoded(in_mode("RGB"), "GIF", save_all=True, append_images=frames)
    colors = [(10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 200)]
    indices = [(x * 7) % 4 for x in range(12)]
    yield "frame-inside.gif", gif_frame(9, 8, (3, 2, 4, 3), colors, indices)
    yield "frame-inside-transparent.gif", gif_frame(9, 8, (3, 2, 4, 3), colors, indices, transparent=2)
    yield "frame-beyond.gif", gif_frame(5, 4, (3, 2, 4, 3), colors, indices)
    yield "local-colors.gif", gif_frame(9, 8, (0, 0, 4, 3), colors, indices, local=colors[::-1])
    yield "index-beyond.gif", gif_frame(4, 3, (0, 0, 4, 3), colors, [x * 20 for x in range(12)])


def tiff(samples, bits, photometric, order="<", tile=None, planar=1, extra=None, palette=None, form=None, rows=None, tags=()):
    """A TIFF without compression; Pillow itself writes few kinds of them. samples: [height, width, channels]."""
    height, width, channels = samples.shape

    def packed(part):
        if bits >= 8:
            kind = {8: "u1", 16: "u2", 32: "u4"}[bits] if part.dtype.kind != "f" else "f4"
            return part.astype(order + kind).tobytes()
        out = b""
        for row in part.reshape(part.shape[0], -1):
            text = "".join(format(int(value), f"0{bits}b") for value in row)
            text += "0" * (-len(text) % 8)
            out += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
        return out

    planes = [samples] if planar == 1 else [samples[:, :, c : c + 1] for c in range(channels)]
    blocks = []
    for plane in planes:
        if tile:
            padded = numpy.zeros((-(-height // tile) * tile, -(-width // tile) * tile, plane.shape[2]), plane.dtype)
            padded[:height, :width] = plane
            for y in range(0, padded.shape[0], tile):
                blocks += [packed(padded[y : y + tile, x : x + tile]) for x in range(0, padded.shape[1], tile)]
        else:
            step = rows or height
            blocks += [packed(plane[y : y + step]) for y in range(0, height, step)]
    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [photometric])}
    entries |= {277: (3, [channels]), 284: (3, [planar])}
    if extra is not None:
        entries[338] = (3, [extra])
    if palette is not None:
        entries[320] = (3, palette)
    if form is not None:
        entries[339] = (3, [form] * channels)
    entries |= dict(tags)
    names = (322, 323, 324, 325) if tile else (278, 278, 273, 279)
    entries |= {names[0]: (4, [tile or rows or height]), names[1]: (4, [tile or rows or height])}
    entries |= {names[2]: (4, [0] * len(blocks)), names[3]: (4, [len(block) for block in blocks])}
    size = {3: "H", 4: "I"}
    head, at = 8 + 2 + 12 * len(entries) + 4, None
    at = head + sum(len(v) * struct.calcsize(size[t]) for t, v in entries.values() if len(v) * struct.calcsize(size[t]) > 4)
    offsets = []
    for block in blocks:
        offsets.append(at)
        at += len(block)
    entries[names[2]] = (4, offsets)
    data, after, place = b"", b"", head
    for tag in sorted(entries):
        kind, values = entries[tag]
        raw = struct.pack(order + str(len(values)) + size[kind], *values)
        data += struct.pack(order + "HHI", tag, kind, len(values))
        if len(raw) <= 4:
            data += raw.ljust(4, b"\0")
        else:
            data += struct.pack(order + "I", place + len(after))
            after += raw
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return start + data + b"\0\0\0\0" + after + b"".join(blocks)


def tiffs():
    modes = ("1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F")
    kinds = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma", "group3", "group4", "tiff_ccitt", "jpeg", "webp")
    for mode in modes:
        yield f"{mode}.tif", encoded(in_mode(mode), "TIFF")
        for kind in kinds:
            try:
                data = encoded(in_mode(mode), "TIFF", compression=kind)
                Image.open(io.BytesIO(data)).convert("RGB")
            except (OSError, ValueError, SystemError, RuntimeError):
                continue
            yield f"{mode}-{kind}.tif", data
    yield "predictor.tif", encoded(in_mode("RGB"), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "big.tif", encoded(in_mode("RGB"), "TIFF", big_tiff=True)
    yield "strips.tif", encoded(in_mode("RGB"), "TIFF", compression="tiff_lzw", strip_size=200)
    yield "pages.tif", encoded(in_mode("RGB"), "TIFF", save_all=True, append_images=[in_mode("L")])
    for orientation in range(1, 9):
        yield f"orientation{orientation}.tif", encoded(in_mode("RGB"), "TIFF", exif=exif(orientation))
    color = scene(WIDTH, HEIGHT).astype(numpy.int64)
    grey, alpha = color[:, :, :1], numpy.asarray(ALPHA).astype(numpy.int64)[:, :, None]
    wide = lambda values: values * 257 - values % 3 * 40 * (values > 1)
    palette = [int(value) for value in numpy.random.default_rng(4).integers(0, 65536, 768)]
    rgba = numpy.concatenate([color, alpha], axis=-1)
    premultiplied = numpy.concatenate([color * alpha // 255, alpha], axis=-1)
    inks = numpy.concatenate([color, alpha // 2], axis=-1)
    for order, name in (("<", "little"), (">", "big")):
        yield f"rgb8-{name}.tif", tiff(color, 8, 2, order)
        yield f"rgb16-{name}.tif", tiff(wide(color), 16, 2, order)
        yield f"rgba16-{name}.tif", tiff(wide(rgba), 16, 2, order, extra=2)
        yield f"cmyk16-{name}.tif", tiff(wide(inks), 16, 5, order)
        yield f"float-{name}.tif", tiff((grey * 1.7 - 40).astype("f4"), 32, 1, order, form=3)
        yield f"signed-{name}.tif", tiff(grey * 3 - 200, 32, 1, order, form=2)
        yield f"signed16-{name}.tif", tiff(grey * 3 - 200, 16, 1, order, form=2)
    for bits in (1, 2, 4, 8):
        yield f"grey{bits}.tif", tiff(grey >> (8 - bits), bits, 1)
        yield f"grey{bits}-white-is-zero.tif", tiff(grey >> (8 - bits), bits, 0)
        yield f"palette{bits}.tif", tiff(grey >> (8 - bits), bits, 3, palette=palette[: 3 << bits])
    yield "tiles.tif", tiff(color, 8, 2, tile=16)
    yield "tiles-grey1.tif", tiff(grey >> 7, 1, 1, tile=16)
    yield "planes.tif", tiff(color, 8, 2, planar=2)
    yield "rows.tif", tiff(rgba, 8, 2, rows=5, extra=0)
    yield "rgba.tif", tiff(rgba, 8, 2, rows=5, extra=2)
    yield "rgba-premultiplied.tif", tiff(premultiplied, 8, 2, extra=1)


def bmp(bits, height, data, width=WIDTH, header=40, compression=0, palette=b"", masks=b"", colors=0):
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 0, 0, colors, 0)
    if header > 40:
        info += masks.ljust(header - 40, b"\0")
        masks = b""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    offset = 14 + len(info) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + masks + palette + data


def bmps():
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"{mode}.bmp", encoded(in_mode(mode), "BMP")
    rng = numpy.random.default_rng(7)
    colors = bytes(rng.integers(0, 256, 1024, dtype=numpy.uint8))
    padded = lambda rows: b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    noise = lambda count: [rng.integers(0, 256, count, dtype=numpy.uint8).tobytes() for _ in range(HEIGHT)]
    for bits in (1, 4, 8):
        rows = noise((WIDTH * bits + 7) // 8)
        yield f"bits{bits}.bmp", bmp(bits, HEIGHT, padded(rows), palette=colors[: 4 << bits])
        yield f"bits{bits}-top-down.bmp", bmp(bits, -HEIGHT, padded(rows), palette=colors[: 4 << bits])
        yield f"bits{bits}-old.bmp", bmp(bits, HEIGHT, padded(rows), header=12, palette=colors[: 3 << bits])
    yield "bits16.bmp", bmp(16, HEIGHT, padded(noise(WIDTH * 2)))
    yield "bits24-top-down.bmp", bmp(24, -HEIGHT, padded(noise(WIDTH * 3)))
    yield "bits24-old.bmp", bmp(24, HEIGHT, padded(noise(WIDTH * 3)), header=12)
    yield "bits32.bmp", bmp(32, HEIGHT, padded(noise(WIDTH * 4)))
    masks565 = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "bits16-565.bmp", bmp(16, HEIGHT, padded(noise(WIDTH * 2)), compression=3, masks=masks565)
    rgba = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    yield "bits32-masks.bmp", bmp(32, HEIGHT, padded(noise(WIDTH * 4)), header=108, compression=3, masks=rgba)
    yield "bits32-masks124.bmp", bmp(32, HEIGHT, padded(noise(WIDTH * 4)), header=124, compression=3, masks=rgba)
    index = rng.integers(0, 6, (HEIGHT, WIDTH))
    runs8 = b""
    for row in index.tolist():
        runs8 += b"\x03" + bytes([row[0]]) + b"\0\x05" + bytes(row[3:8]) + b"\0" + b"\x04\x02" + b"\0\x07" + bytes(row[12:]) + b"\0\0\0"
    yield "runs8.bmp", bmp(8, HEIGHT, runs8 + b"\0\x01", compression=1, palette=colors[:24], colors=6)
    runs4 = b""
    for row in index.tolist():
        runs4 += bytes([9, row[0] << 4 | row[1], 0, 5, row[9] << 4 | row[10], row[11] << 4 | row[12], row[13] << 4, 0, 5, 0x12, 0, 0])
    yield "runs4.bmp", bmp(4, HEIGHT, runs4 + b"\0\x01", compression=2, palette=colors[:24], colors=6)
    yield "runs8-delta.bmp", bmp(
        8, HEIGHT, b"\x04\x01\0\x02\x05\x02\x03\x02" + b"\0\0" + b"\x13\x03\0\0" * (HEIGHT - 3) + b"\0\x01", compression=1, palette=colors[:24], colors=6
    )


def pnms():
    for mode in ("1", "L", "RGB", "RGBA", "I;16", "I", "F"):
        yield f"{mode}.pnm", encoded(in_mode(mode), "PPM")
    color = scene(WIDTH, HEIGHT).astype(int)
    grey = color[:, :, 0]
    size = f"{WIDTH} {HEIGHT}"
    text = lambda values: " ".join(str(value) for value in values.flatten())
    yield "plain1.pnm", f"P1\n# a comment\n{size}\n{''.join(str(v) for v in (grey > 127).astype(int).flatten())}\n".encode()
    yield "plain2.pnm", f"P2 {size} 255\n{text(grey)}\n".encode()
    yield "plain2-100.pnm", f"P2 {size}\n#c\n100\n{text(grey * 100 // 255)}\n".encode()
    yield "plain3.pnm", f"P3\n{size}\n255\n{text(color)}\n".encode()
    yield "plain3-1000.pnm", f"P3\n{size}\n1000\n{text(color * 1000 // 255)}\n".encode()
    yield "grey-77.pnm", f"P5 {size} 77\n".encode() + (grey * 77 // 255).astype("u1").tobytes()
    yield "color-31.pnm", f"P6 {size} 31\n".encode() + (color * 31 // 255).astype("u1").tobytes()
    yield "color-65535.pnm", f"P6 {size} 65535\n".encode() + (color * 257 - color % 3 * 40 * (color > 1)).astype(">u2").tobytes()
    yield "grey-4095.pnm", f"P5 {size} 4095\n".encode() + (grey * 16).astype(">u2").tobytes()


def avifs():
    for mode in ("L", "LA", "P", "RGB", "RGBA"):
        for sampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
            yield f"{mode}-{sampling.replace(':', '')}.avif", encoded(in_mode(mode), "AVIF", subsampling=sampling, quality=80)
    yield "animated.avif", encoded(in_mode("RGB"), "AVIF", save_all=True, append_images=[in_mode("RGB").rotate(180)])
    for orientation in range(1, 9):
        yield f"orientation{orientation}.avif", encoded(in_mode("RGB"), "AVIF", exif=exif(orientation))


def heics():
    """Made and read by libheif's own programs: Pillow knows nothing of HEIC."""
    if shutil.which("heif-enc") is None:
        print("not made: HEIC (apt install libheif-examples)")
        return
    with tempfile.TemporaryDirectory() as folder:
        for width, height in ((64, 48), (33, 71)):
            source, file = f"{folder}/in.png", f"{folder}/out.heic"
            Image.fromarray(scene(width, height)).save(source)
            subprocess.run(["heif-enc", "-q", "70", source, "-o", file], check=True, capture_output=True)
            subprocess.run(["heif-convert", file, f"{folder}/back.png"], check=True, capture_output=True)
            yield f"{width}x{height}.heic", Path(file).read_bytes(), Path(f"{folder}/back.png").read_bytes()


def rgb(data):
    picture = Image.open(io.BytesIO(data))
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PPM", "PNG")):
        wide = numpy.asarray(picture).astype(numpy.uint32)
        return numpy.repeat((wide >> 8).astype(numpy.uint8)[:, :, None], 3, axis=2)
    return numpy.asarray(picture.convert("RGB"))


def main():
    arrays = {}
    for kind in (jpegs, pngs, webps, gifs, tiffs, bmps, pnms, avifs):
        for name, data in kind():
            try:
                arrays[f"rgb/{name}"] = rgb(data)
            except Exception as error:
                print("not read:", name, repr(error)[:100])
                continue
            arrays[f"file/{name}"] = numpy.frombuffer(data, numpy.uint8)
            if kind != tiffs:
                picture = Image.open(io.BytesIO(data))
                turned = ImageOps.exif_transpose(picture)
                if picture.getexif().get(0x0112, 1) != 1:
                    arrays[f"turned/{name}"] = numpy.asarray(turned.convert("RGB"))
    for name, data, back in heics():
        arrays[f"file/{name}"], arrays[f"rgb/{name}"] = numpy.frombuffer(data, numpy.uint8), rgb(back)
    for width, height in ((40, 23), (23, 40), (30, 30), (50, 3)):
        picture = Image.fromarray(scene(width, height))
        arrays[f"source/{width}x{height}"] = numpy.asarray(picture)
        for side in (16, 33):
            for name in ("bilinear", "bicubic"):
                method = Image.Resampling[name.upper()]
                arrays[f"pad/{width}x{height}/{side}/{name}"] = numpy.asarray(ImageOps.pad(picture, (side, side), method))
        for target in ((16, 16), (61, 47), (24, 7), (width, 9), (7, height)):
            resized = picture.resize(target, Image.Resampling.BICUBIC)
            arrays[f"resize/{width}x{height}/{target[0]}x{target[1]}/bicubic"] = numpy.asarray(resized)
    versions = {"made_by": "scripts/make_format_fixtures.py", "pillow": PIL.__version__}
    for name in ("libjpeg_turbo", "webp", "libtiff", "avif"):
        versions[name] = str(features.version(name))
    arrays = {name: numpy.ascontiguousarray(value) for name, value in arrays.items()}
    save_file(arrays, OUTPUT, metadata=versions)
    print(f"{sum(name.startswith('file/') for name in arrays)} pictures, {OUTPUT.stat().st_size} bytes")


main()
