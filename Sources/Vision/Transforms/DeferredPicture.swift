import CPicture

/// A picture on its way through geometric transforms: cropping, one resampling and mirroring are noted, not done.
///
/// When its pixels are asked for, only those that survive every crop are computed. The result equals doing each step on
/// its own.
public struct DeferredPicture: Sendable {
    private var source: Picture
    /// What is left of `source`.
    private var region: PictureRegion
    /// What `region` is resampled to, and the part of that which is left.
    private var resampling: Resampling?
    private var isMirrored = false

    private struct Resampling {
        var target: PictureSize
        var window: PictureRegion
        var interpolation: PictureInterpolation
    }

    public init(_ picture: Picture) {
        source = picture
        region = PictureRegion(x: 0, y: 0, width: picture.width, height: picture.height)
    }

    /// The size its pixels will have.
    public var size: PictureSize { resampling?.window.size ?? region.size }
    public var width: Int { size.width }
    public var height: Int { size.height }
    public var mode: PictureMode { source.mode }

    /// Cuts out a rectangle, which must lie inside the picture.
    public mutating func crop(x: Int, y: Int, width: Int, height: Int) {
        precondition(
            x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= self.width && y + height <= self.height,
            "crop of \(width) x \(height) at (\(x), \(y)) leaves a picture of \(size)")
        let left = isMirrored ? self.width - x - width : x
        if let window = resampling?.window {
            resampling?.window = PictureRegion(x: window.x + left, y: window.y + y, width: width, height: height)
        } else {
            region = PictureRegion(x: region.x + left, y: region.y + y, width: width, height: height)
        }
    }

    /// Resamples to another size as Pillow does, antialiased.
    public mutating func resize(to target: PictureSize, _ interpolation: PictureInterpolation = .bilinear) {
        precondition(target.width > 0 && target.height > 0, "cannot resize to \(target)")
        if target == size { return }
        // A second resampling, or one of a mirrored picture, rounds differently unless the first is done.
        if resampling != nil || isMirrored { self = DeferredPicture(rendered()) }
        resampling = Resampling(
            target: target, window: PictureRegion(x: 0, y: 0, width: target.width, height: target.height),
            interpolation: interpolation)
    }

    /// Exchanges left and right.
    public mutating func mirror() { isMirrored.toggle() }

    /// Surrounds the picture with black.
    public mutating func pad(left: Int, top: Int, right: Int, bottom: Int) {
        precondition(left >= 0 && top >= 0 && right >= 0 && bottom >= 0, "padding must not be negative")
        var padded = Picture(
            width: left + width + right, height: top + height + bottom,
            color: [UInt8](repeating: 0, count: mode.channels))
        padded.paste(rendered(), x: left, y: top)
        self = DeferredPicture(padded)
    }

    /// The picture with everything done.
    public func rendered() -> Picture { isMirrored ? renderedUnmirrored().mirrored() : renderedUnmirrored() }

    private func renderedUnmirrored() -> Picture {
        guard let resampling else { return source.cropped(to: region) }
        return source.resampled(
            region: region, to: resampling.target, window: resampling.window, resampling.interpolation)
    }

    /// Writes `[channels, height, width]` floats, each sample looked up in its colour's 256 entries of `table`; with
    /// `isReversed` the last colour's plane comes first.
    func write(table: [Float], isReversed: Bool, into planes: UnsafeMutableBufferPointer<Float>) {
        let picture = renderedUnmirrored()
        precondition(
            planes.count == picture.byteCount && table.count == 256 * picture.channels,
            "room for \(planes.count) numbers, picture has \(picture.byteCount)")
        picture.withSamples { samples in
            guard let input = samples.baseAddress, let output = planes.baseAddress else { return }
            ft_planes_f32(
                input, picture.width * picture.channels, CInt(picture.width), CInt(picture.height),
                CInt(picture.channels), isMirrored ? 1 : 0, isReversed ? 1 : 0, table, output)
        }
    }
}
