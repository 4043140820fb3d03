import CEvents
import Files
import Foundation
import Vision

/// A file of events that TensorBoard reads: numbers and pictures under tags, by step.
///
/// Each record is its length, a checksum of the length, an Event message and a checksum of that (TFRecord framing). A record
/// cut short by a crash is passed over by TensorBoard.
public struct EventFile: Sendable {
    public let path: String

    /// What stands under a tag.
    public enum Value: Sendable {
        /// Kept as float32, which is all that TensorBoard has.
        case scalar(Double)
        case picture(Picture)
    }

    /// Makes `events.out.tfevents.<seconds>.finetune` in `folder`. Throws `FileError`.
    public static func create(in folder: String, at time: Double = Date().timeIntervalSince1970) throws -> EventFile {
        let file = EventFile(path: "\(folder)/events.out.tfevents.\(String(format: "%010.0f", time)).finetune")
        var packed = [UInt8](repeating: 0, count: ft_event_version(time, nil))
        ft_event_version(time, &packed)
        try AtomicFile.write(record(packed), to: file.path)
        return file
    }

    /// The file in `folder` that `create` made last, or nil.
    public static func last(in folder: String) -> EventFile? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasPrefix("events.out.tfevents.") }.max().map { EventFile(path: "\(folder)/\($0)") }
    }

    /// Adds values at a step, all of them or, when the disk is full, a part. Throws `FileError`, `PictureError`.
    public func append(
        _ values: [(tag: String, value: Value)], step: Int, at time: Double = Date().timeIntervalSince1970
    ) throws {
        let records = try values.flatMap { tag, value in
            EventFile.record(try EventFile.pack(tag, value, Int64(step), time))
        }
        try AppendedFile.append(records, to: path)
    }

    private static func pack(_ tag: String, _ value: Value, _ step: Int64, _ time: Double) throws -> [UInt8] {
        switch value {
        case .scalar(let number):
            return packed { ft_event_scalar(time, step, tag, Float(number), $0) }
        case .picture(let picture):
            let png = try picture.pngData(name: tag)
            return packed {
                ft_event_picture(
                    time, step, tag, Int32(picture.width), Int32(picture.height), Int32(picture.channels), png,
                    png.count, $0)
            }
        }
    }

    /// Calls `pack` for the size and again for the bytes.
    private static func packed(_ pack: (UnsafeMutablePointer<UInt8>?) -> Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: pack(nil)) { bytes, count in count = pack(bytes.baseAddress) }
    }

    static func record(_ bytes: [UInt8]) -> [UInt8] {
        let length = littleEndian(UInt64(bytes.count))
        return length + littleEndian(maskedChecksum(length)) + bytes + littleEndian(maskedChecksum(bytes))
    }

    /// A checksum stored beside what it covers is rotated and shifted, so that a checksum of checksums is no special case.
    static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
        let crc = ft_crc32c(bytes, bytes.count)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }

    private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
