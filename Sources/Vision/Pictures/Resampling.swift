import CPicture
import TensorCore

/// A rectangle of pixels.
struct PictureRegion: Sendable, Hashable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    var size: PictureSize { PictureSize(width: width, height: height) }
}

/// The filter that makes pixels between pixels, as Pillow has them.
public enum PictureInterpolation: String, Sendable, Hashable, Codable, CaseIterable {
    /// 1 - |x| up to 1.
    case bilinear
    /// Keys' cubic with a = -0.5, up to 2.
    case bicubic

    var support: Double { self == .bilinear ? 1 : 2 }

    func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .bilinear: return max(1 - x, 0)
        case .bicubic:
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
        }
    }
}

/// The weights that resample one axis with one of Pillow's antialiased filters.
///
/// Output i looks at inputs around (i + 0.5) * scale within max(scale, 1) times the filter's support, scale = input /
/// output.
struct ResampleAxis {
    /// First input and number of inputs of each output.
    private(set) var starts: [Int32] = []
    private(set) var counts: [Int32] = []
    /// Upper and lower bits of the fixed-point weights, `taps` for each output, see `ft_resample_axis`.
    private var high: [Int16]
    private var low: [Int16]
    private let taps: Int
    /// True when samples stay as they are.
    let isIdentity: Bool
    /// The inputs that some output looks at.
    let inputRange: Range<Int>

    /// Weights for the outputs in `window` when `input` samples become `output` samples.
    init(input: Int, output: Int, window: Range<Int>, _ interpolation: PictureInterpolation = .bilinear) {
        isIdentity = input == output
        let scale = Double(input) / Double(output)
        let support = interpolation.support * max(scale, 1)
        let inverse = 1 / max(scale, 1)
        taps = (Int(support.rounded(.up)) * 2 + 1 + 3) / 4 * 4
        high = [Int16](repeating: 0, count: window.count * taps)
        low = high
        starts.reserveCapacity(window.count)
        counts.reserveCapacity(window.count)
        var weights = [Double](repeating: 0, count: taps)
        for (row, index) in window.enumerated() {
            let center = (Double(index) + 0.5) * scale
            let first = max(Int(center - support + 0.5), 0)
            let count = min(Int(center + support + 0.5), input) - first
            var sum = 0.0
            for tap in 0..<count {
                weights[tap] = interpolation.weight((Double(tap + first) - center + 0.5) * inverse)
                sum += weights[tap]
            }
            for tap in 0..<count {
                let weight = sum == 0 ? weights[tap] : weights[tap] / sum
                // Away from zero at halves.
                let fixed = Int(weight * Double(1 << Int(FT_RESAMPLE_PRECISION)) + (weight < 0 ? -0.5 : 0.5))
                high[row * taps + tap] = Int16(fixed >> Int(FT_RESAMPLE_LOW_BITS))
                low[row * taps + tap] = Int16(fixed & (1 << Int(FT_RESAMPLE_LOW_BITS) - 1))
            }
            starts.append(Int32(first))
            counts.append(Int32(count))
        }
        let end = (starts.last ?? 0) + (counts.last ?? 0)
        inputRange = isIdentity ? window : Int(starts.first ?? 0)..<Int(end)
    }

    /// Counts inputs from the first that is used.
    mutating func rebase() {
        for i in starts.indices { starts[i] -= Int32(inputRange.lowerBound) }
    }

    func withAxis<R>(_ body: (UnsafePointer<ft_resample_axis>) -> R) -> R {
        starts.withUnsafeBufferPointer { starts in
            counts.withUnsafeBufferPointer { counts in
                high.withUnsafeBufferPointer { high in
                    low.withUnsafeBufferPointer { low in
                        var axis = ft_resample_axis(
                            starts: starts.baseAddress, counts: counts.baseAddress, high: high.baseAddress,
                            low: low.baseAddress, taps: CInt(taps), size: CInt(starts.count))
                        return body(&axis)
                    }
                }
            }
        }
    }
}

extension Picture {
    /// The picture in another size: Pillow's `resize`, antialiased, bit for bit.
    public func resized(to target: PictureSize, _ interpolation: PictureInterpolation = .bilinear) -> Picture {
        resampled(
            region: PictureRegion(x: 0, y: 0, width: width, height: height), to: target,
            window: PictureRegion(x: 0, y: 0, width: target.width, height: target.height), interpolation)
    }

    /// The part `window` of what `region` becomes when resampled to `target`.
    ///
    /// Only what the window needs is computed; pixels outside `region` are never looked at, as if it had been cut out.
    func resampled(
        region: PictureRegion, to target: PictureSize, window: PictureRegion,
        _ interpolation: PictureInterpolation = .bilinear
    ) -> Picture {
        precondition(target.width > 0 && target.height > 0, "cannot resize to \(target)")
        var columns = ResampleAxis(
            input: region.width, output: target.width, window: window.x..<window.x + window.width, interpolation)
        var rows = ResampleAxis(
            input: region.height, output: target.height, window: window.y..<window.y + window.height,
            interpolation)
        let part = PictureRegion(
            x: region.x + columns.inputRange.lowerBound, y: region.y + rows.inputRange.lowerBound,
            width: columns.inputRange.count, height: rows.inputRange.count)
        columns.rebase()
        rows.rebase()
        let whole = { (picture: Picture) in PictureRegion(x: 0, y: 0, width: picture.width, height: picture.height) }
        switch (columns.isIdentity, rows.isIdentity) {
        case (true, true): return cropped(to: part)
        case (true, false): return resampledColumns(of: part, rows)
        case (false, true): return resampledRows(of: part, columns)
        case (false, false):
            // Each pass rounds, so their order shows in the last bit; this is the one Pillow 13 chooses. Earlier releases
            // always resample rows first and differ by at most one.
            let shrinksMostlyInHeight =
                target.height < region.height && 2 * (region.width - target.width) < region.height - target.height
            if shrinksMostlyInHeight {
                let low = resampledColumns(of: part, rows)
                return low.resampledRows(of: whole(low), columns)
            }
            let narrow = resampledRows(of: part, columns)
            return narrow.resampledColumns(of: whole(narrow), rows)
        }
    }

    func resampledRows(of band: PictureRegion, _ axis: ResampleAxis) -> Picture {
        let offset = (band.y * width + band.x) * channels
        return withSamples { source in
            Picture(
                uninitialized: PictureSize(width: axis.starts.count, height: band.height), channels: channels
            ) { out in
                guard let input = source.baseAddress, let output = out.baseAddress else { return }
                axis.withAxis {
                    ft_resample_rows_u8(
                        input + offset, source.count - offset, width * channels, CInt(channels), CInt(band.height), $0,
                        output)
                }
            }
        }
    }

    func resampledColumns(of band: PictureRegion, _ axis: ResampleAxis) -> Picture {
        let offset = (band.y * width + band.x) * channels
        return withSamples { source in
            Picture(
                uninitialized: PictureSize(width: band.width, height: axis.starts.count), channels: channels
            ) { out in
                guard let input = source.baseAddress, let output = out.baseAddress else { return }
                axis.withAxis {
                    ft_resample_columns_u8(input + offset, width * channels, band.width * channels, $0, output)
                }
            }
        }
    }

    /// The pixels of `region`, which lies inside the picture.
    func cropped(to region: PictureRegion) -> Picture {
        if region == PictureRegion(x: 0, y: 0, width: width, height: height) { return self }
        var part = Picture(uninitialized: region.size, channels: channels) { _ in }
        part.paste(self, x: -region.x, y: -region.y)
        return part
    }

    /// Left and right exchanged.
    func mirrored() -> Picture {
        let (width, channels) = (width, channels)
        return withSamples { source in
            Picture(uninitialized: size, channels: channels) { out in
                for row in stride(from: 0, to: source.count, by: width * channels) {
                    for x in 0..<width {
                        for c in 0..<channels {
                            out[row + x * channels + c] = source[row + (width - 1 - x) * channels + c]
                        }
                    }
                }
            }
        }
    }
}
