import CPicture
import Files

extension Picture {
    /// The picture as a PNG file's bytes, 8-bit greyscale or RGB.
    ///
    /// `compression` is zlib's level, 0 to 9. Throws `PictureError` when memory runs out; `name` is what it calls the
    /// picture.
    public func pngData(compression: Int = 6, name: String = "PNG") throws(PictureError) -> [UInt8] {
        var encoded: UnsafeMutablePointer<UInt8>?
        var count = 0
        var error = ft_codec_error()
        withSamples { source in
            _ = ft_png_encode(
                source.baseAddress, UInt32(width), UInt32(height), UInt32(channels), CInt(min(max(compression, 0), 9)),
                &encoded, &count, &error)
        }
        defer { ft_png_free(encoded) }
        if let reason = PictureError.Reason(error) { throw PictureError(path: name, reason: reason) }
        return Array(UnsafeBufferPointer(start: encoded, count: count))
    }

    /// The picture as a JPEG file's bytes; `quality` is libjpeg's, 1 to 100.
    ///
    /// Throws `PictureError` when memory runs out; `name` is what it calls the picture.
    public func jpegData(quality: Int = 85, name: String = "JPEG") throws(PictureError) -> [UInt8] {
        var error = ft_codec_error()
        // Noise at the best quality takes more than the samples themselves, never twice as much.
        let bytes = withSamples { source in
            [UInt8](unsafeUninitializedCapacity: 4096 + 2 * byteCount) { out, count in
                _ = ft_jpeg_encode(
                    source.baseAddress, UInt32(width), UInt32(height), UInt32(channels), CInt(quality),
                    out.baseAddress, out.count, &count, &error)
            }
        }
        if let reason = PictureError.Reason(error) { throw PictureError(path: name, reason: reason) }
        return bytes
    }

    /// Writes the picture as a PNG file, replacing what was there only once all bytes are written.
    public func writePNG(to path: String, compression: Int = 6) throws(PictureError) {
        let bytes = try pngData(compression: compression, name: path)
        do throws(FileError) { try AtomicFile.write(bytes, to: path) } catch { throw PictureError(error) }
    }

    /// Pictures of one cell size laid out in rows, with `gap` pixels of `background` around each.
    ///
    /// Each picture is shrunk to fit `cell` without changing its shape and centred. At least one column.
    public static func contactSheet(
        _ pictures: [Picture], columns: Int, cell: PictureSize, gap: Int = 4, background: [UInt8] = [255, 255, 255]
    ) -> Picture {
        let columns = max(columns, 1)
        let rows = max((pictures.count + columns - 1) / columns, 1)
        var sheet = Picture(
            width: gap + columns * (cell.width + gap), height: gap + rows * (cell.height + gap), color: background)
        for (index, picture) in pictures.enumerated() {
            let fitted = picture.fitted(within: cell)
            let left = gap + index % columns * (cell.width + gap) + (cell.width - fitted.width) / 2
            let top = gap + index / columns * (cell.height + gap) + (cell.height - fitted.height) / 2
            sheet.paste(fitted, x: left, y: top)
        }
        return sheet
    }

    /// The picture shrunk (never enlarged) to fit into `box`, its shape kept.
    public func fitted(within box: PictureSize) -> Picture {
        guard width > box.width || height > box.height else { return self }
        let byWidth = width * box.height > height * box.width
        let size =
            byWidth
            ? PictureSize(width: box.width, height: max(1, height * box.width / width))
            : PictureSize(width: max(1, width * box.height / height), height: box.height)
        return resized(to: size)
    }
}
