import Foundation
import TensorCore
import Vision

extension Picture {
    /// RGB samples.
    public typealias Color = (red: UInt8, green: UInt8, blue: UInt8)

    /// A line of text as a picture: letters of `ink` on `paper`, each pixel of the font `scale` pixels wide.
    ///
    /// Letters outside ASCII are written with their nearest Latin ones. At most `maxWidth` pixels wide: what does not fit is
    /// replaced by two points.
    public static func text(
        _ text: String, ink: Color, paper: Color, scale: Int = 2, maxWidth: Int = .max
    ) -> Picture {
        var letters = PixelFont.columns(of: text)
        let room = max(maxWidth / scale, 1)
        if letters.count > room {
            let dots = PixelFont.columns(of: "..")
            letters = Array(letters.prefix(max(room - dots.count - 1, 0))) + [0] + dots
        }
        let columns = letters.isEmpty ? [0] : Array(letters.prefix(room))
        var samples: [UInt8] = []
        samples.reserveCapacity(columns.count * PixelFont.height * scale * scale * 3)
        for y in 0..<PixelFont.height * scale {
            for x in 0..<columns.count * scale {
                let color = columns[x / scale] >> UInt16(y / scale) & 1 == 1 ? ink : paper
                samples += [color.red, color.green, color.blue]
            }
        }
        return Picture(pixels: NDArray(samples, shape: [PixelFont.height * scale, columns.count * scale, 3]))
    }

    /// Each pixel becomes a square of `factor` by `factor`.
    public func enlarged(by factor: Int) -> Picture {
        guard factor > 1 else { return self }
        let (width, height, channels, source) = (width, height, channels, samples)
        var samples: [UInt8] = []
        samples.reserveCapacity(source.count * factor * factor)
        for y in 0..<height * factor {
            for x in 0..<width * factor {
                let start = (y / factor * width + x / factor) * channels
                samples += source[start..<start + channels]
            }
        }
        return Picture(pixels: NDArray(samples, shape: [height * factor, width * factor, channels]))
    }
}
