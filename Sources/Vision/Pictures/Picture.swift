import CPicture
import TensorCore

/// Width and height in pixels.
public struct PictureSize: Sendable, Hashable, CustomStringConvertible {
    public var width: Int
    public var height: Int

    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    public var description: String { "\(width) x \(height)" }
}

/// The colours a model wants to see; fixes the number of channels.
public enum PictureMode: String, Sendable, Hashable, CaseIterable {
    case grayscale, rgb

    /// 1 or 3.
    public var channels: Int { self == .rgb ? 3 : 1 }
}

/// A decoded picture: 8-bit samples, rows from the top, channels interleaved (`[height, width, channels]`).
public struct Picture: Sendable {
    /// The samples, `uint8 [height, width, channels]`.
    public private(set) var pixels: NDArray

    public var width: Int { pixels.shape[1] }
    public var height: Int { pixels.shape[0] }
    /// 1 for greyscale, 3 for RGB.
    public var channels: Int { pixels.shape[2] }
    public var size: PictureSize { PictureSize(width: width, height: height) }
    public var mode: PictureMode { channels == 3 ? .rgb : .grayscale }
    /// Bytes the samples take.
    public var byteCount: Int { pixels.byteCount }

    /// Takes `uint8 [height, width, channels]` with 1 or 3 channels and at least one pixel.
    public init(pixels: NDArray) {
        precondition(
            pixels.dtype == .uint8 && pixels.rank == 3 && [1, 3].contains(pixels.shape[2]) && pixels.count > 0,
            "a picture is uint8 [height, width, 1 or 3], not \(pixels.dtype) \(pixels.shape)")
        self.pixels = pixels
    }

    /// A picture in one colour; `color` has one value for each channel.
    public init(width: Int, height: Int, color: [UInt8]) {
        precondition(width > 0 && height > 0, "a picture needs pixels")
        var pixels = NDArray(uninitialized: [height, width, color.count], dtype: .uint8)
        pixels.withMutableElements(as: UInt8.self) { out in
            for i in out.indices { out[i] = color[i % color.count] }
        }
        self.init(pixels: pixels)
    }

    /// Fills new memory; `body` must write every sample.
    init<E: Error>(
        uninitialized size: PictureSize, channels: Int,
        _ body: (UnsafeMutableBufferPointer<UInt8>) throws(E) -> Void
    ) throws(E) {
        var pixels = NDArray(uninitialized: [size.height, size.width, channels], dtype: .uint8)
        var failure: E?
        pixels.withMutableElements(as: UInt8.self) { out in
            do throws(E) { try body(out) } catch { failure = error }
        }
        if let failure { throw failure }
        self.pixels = pixels
    }

    /// The samples in memory order.
    public func withSamples<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        try pixels.withElements(as: UInt8.self, body)
    }

    /// The samples in memory order, copied.
    public var samples: [UInt8] { pixels.elements(as: UInt8.self) }

    /// The picture in the colours of `mode`, as Pillow's `convert`.
    ///
    /// Grey becomes RGB with equal channels; RGB becomes grey with `(19595 R + 38470 G + 7471 B + 32768) / 65536`.
    public func converted(to mode: PictureMode) -> Picture {
        if mode == self.mode { return self }
        return withSamples { source in
            Picture(uninitialized: size, channels: mode.channels) { out in
                guard let input = source.baseAddress, let output = out.baseAddress else { return }
                if mode == .grayscale {
                    ft_grey_from_rgb_u8(input, width * height, output)
                } else {
                    for i in 0..<width * height {
                        output[3 * i] = input[i]
                        output[3 * i + 1] = input[i]
                        output[3 * i + 2] = input[i]
                    }
                }
            }
        }
    }

    /// Copies `other` over this picture with its top left corner at (`x`, `y`); what lies outside is cut off.
    ///
    /// `other` is converted to this picture's mode first.
    public mutating func paste(_ other: Picture, x: Int, y: Int) {
        let other = other.converted(to: mode)
        let left = max(x, 0)
        let right = min(x + other.width, width)
        let top = max(y, 0)
        let bottom = min(y + other.height, height)
        guard left < right, top < bottom else { return }
        let (width, channels) = (width, channels)
        other.withSamples { source in
            pixels.withMutableElements(as: UInt8.self) { out in
                for row in top..<bottom {
                    let from = ((row - y) * other.width + left - x) * channels
                    let to = (row * width + left) * channels
                    let count = (right - left) * channels
                    _ = out[to..<to + count].update(fromContentsOf: source[from..<from + count])
                }
            }
        }
    }
}

extension Picture: Equatable {
    /// Equal size, mode and samples.
    public static func == (a: Picture, b: Picture) -> Bool { a.pixels.isBitIdentical(to: b.pixels) }
}
