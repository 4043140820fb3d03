import Files
import Foundation
import Safetensors
import TensorCore
import TestSupport

@testable import Vision

/// The pictures of `scripts/make_picture_fixtures.py` and what Pillow and torchvision make of them.
enum Fixtures {
    static let folder = TestFiles.fixtures.appendingPathComponent("pictures").path

    static func path(_ name: String) -> String { folder + "/" + name }

    static func expected() throws -> [String: NDArray] {
        try SafetensorsFile(path: path("expected.safetensors")).tensors()
    }

    /// The expected arrays whose key begins with `kind`, with the rest of the key split at slashes.
    static func cases(_ kind: String) throws -> [(key: [String], value: NDArray)] {
        try expected().filter { $0.key.hasPrefix(kind + "/") }.sorted { $0.key < $1.key }.map { key, value in
            (key.split(separator: "/").dropFirst().map(String.init), value)
        }
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }
}

/// A folder that is removed when the last reference goes.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file below the folder, making the folders on its way.
    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
}

/// A small PNG whose samples depend on `seed` alone.
func noisePNG(width: Int = 9, height: Int = 7, seed: UInt64) throws -> [UInt8] {
    try noise(width: width, height: height, seed: seed).pngData()
}

func noise(width: Int, height: Int, channels: Int = 3, seed: UInt64) -> Picture {
    var random = RandomSource(seed: seed)
    let samples = (0..<width * height * channels).map { _ in UInt8(random.integer(below: 256)) }
    return Picture(pixels: NDArray(samples, shape: [height, width, channels]))
}

func memory(_ bytes: [UInt8], _ name: String = "memory") -> FileBytes { FileBytes(bytes, path: name) }
