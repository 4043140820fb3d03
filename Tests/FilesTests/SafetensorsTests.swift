import Files
import Foundation
import TensorCore
import Testing

@testable import Safetensors

@Suite struct SafetensorsTests {
    private func file(header: String, data: [UInt8] = [], length: UInt64? = nil) -> FileBytes {
        let text = Array(header.utf8)
        let count = length ?? UInt64(text.count)
        return FileBytes(
            (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + text + data, path: "f.safetensors")
    }

    @Test func everyElementTypeSurvives() throws {
        let folder = try TemporaryFolder()
        var tensors: [String: NDArray] = [:]
        for dtype in DType.allCases {
            let size = dtype.size
            let raw = (0..<6 * size).map { dtype == .bool ? UInt8($0 % 2) : UInt8(truncatingIfNeeded: $0 &* 37) }
            raw.withUnsafeBytes {
                tensors["t.\(dtype)"] = NDArray(copyingLittleEndian: $0, shape: [2, 3], dtype: dtype)
            }
        }
        tensors["scalar"] = NDArray(scalar: Float(2.5))
        tensors["empty"] = NDArray(uninitialized: [0, 4], dtype: .int64)
        tensors["ünïcode \"quoted\" \\ \n"] = NDArray([Int32(7)])
        let metadata = ["format": "pt", "note": "tab\tquote\""]
        try Safetensors.write(tensors, metadata: metadata, to: folder.file("a.safetensors"))

        let read = try SafetensorsFile(path: folder.file("a.safetensors"))
        #expect(read.metadata == metadata)
        #expect(read.names == tensors.keys.sorted())
        for (name, tensor) in tensors {
            #expect(try read.tensor(named: name).isBitIdentical(to: tensor), "\(name)")
        }
        try Safetensors.write(try read.tensors(), metadata: metadata, to: folder.file("b.safetensors"))
        #expect(try folder.read("a.safetensors") == folder.read("b.safetensors"))
    }

    /// The bytes that Python's `safetensors` writes for `{"b": int16 [1], "a": float32 [1, 2]}`, `{"k": "v"}`, but
    /// for the order of keys in the header.
    @Test func layoutOfAKnownFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.safetensors")
        try Safetensors.write(["b": NDArray([Int16(3)]), "a": NDArray([Float(1), 2])], metadata: ["k": "v"], to: path)
        let header =
            #"{"__metadata__":{"k":"v"},"a":{"data_offsets":[0,8],"dtype":"F32","shape":[2]},"#
            + #""b":{"data_offsets":[8,10],"dtype":"I16","shape":[1]}}"#
        let padding = (8 - header.utf8.count % 8) % 8
        let padded = Array(header.utf8) + [UInt8](repeating: 0x20, count: padding)
        let expected =
            [UInt8(padded.count), 0, 0, 0, 0, 0, 0, 0] + padded + [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 3, 0]
        #expect(try folder.read("a.safetensors") == expected)
    }

    private static let refused: [(header: String, dataCount: Int, message: String)] = [
        (#"[1]"#, 0, "does not start with '{'"),
        (#"{"a""#, 0, "not a safetensors file"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "'data_offsets' is missing"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "expected two offsets"),
        (#"{"a":{"dtype":"F32","shape":"x","data_offsets":[0,4]}}"#, 4, "wrong type"),
        (#"{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}"#, 4, "unknown element type 'Q7'"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "negative dimension"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "needs 8"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "lie outside"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "lie outside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "lie outside"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "too large"),
        (#"{"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "too large"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}"#, 0, "too large"),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
            6, "overlaps"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}}"#,
            10, "hole"
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "the file has 5"),
        (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1, "whole bytes"),
        (#"{"__metadata__":{"k":1}}"#, 0, "wrong type"),
        (String(repeating: #"{"a":"#, count: 100_000), 0, "not a safetensors file"),
    ]

    @Test(arguments: refused.indices)
    func refuses(_ index: Int) throws {
        let (header, dataCount, message) = SafetensorsTests.refused[index]
        let bytes = file(header: header, data: [UInt8](repeating: 0, count: dataCount))
        let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(bytes: bytes) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "nothing thrown")")
        #expect(error?.description.hasPrefix("f.safetensors: ") == true)
    }

    /// Refused without reading them all, let alone printing them.
    @Test func refusesTooManyDimensionsAndEntries() {
        func refusal(_ header: String) -> String {
            let error = #expect(throws: SafetensorsError.self) {
                try SafetensorsFile(bytes: file(header: header, data: [0, 0, 0, 0]))
            }
            return error?.description ?? ""
        }
        let ones = String(repeating: "1,", count: 100_000)
        let deep = #"{"a":{"dtype":"F32","shape":[\#(ones)1],"data_offsets":[0,4]}}"#
        #expect(refusal(deep) == "f.safetensors: not a safetensors file: 'a.shape': more than 64 dimensions")
        let entries = (0..<70_000).map { #""t\#($0)":{}"# }
        let message = refusal("{" + entries.joined(separator: ",") + "}")
        #expect(message.hasSuffix("the header: 70000 entries, at most 65536 are read"), "\(message)")
    }

    @Test func refusesBadLengths() {
        #expect(throws: SafetensorsError("m", .truncated("3 bytes, the header length alone takes 8"))) {
            try SafetensorsFile(bytes: FileBytes([1, 2, 3], path: "m"))
        }
        #expect(throws: SafetensorsError("f.safetensors", .truncated("header of 100 bytes, 2 remain"))) {
            try SafetensorsFile(bytes: file(header: "{}", length: 100))
        }
        #expect(throws: SafetensorsError("f.safetensors", .headerTooLarge(byteCount: .max, limit: 16 << 20))) {
            try SafetensorsFile(bytes: file(header: "{}", length: .max))
        }
    }

    @Test func unknownNamesAndTypesAreNamed() throws {
        let folder = try TemporaryFolder()
        try Safetensors.write(["fc.weight": NDArray([Float(1)])], to: folder.file("a"))
        let read = try SafetensorsFile(path: folder.file("a"))
        let error = #expect(throws: SafetensorsError.self) { try read.tensor(named: "fc.wait") }
        #expect(error?.description == "\(folder.file("a")): no tensor 'fc.wait'; the file has 'fc.weight'")
        let eight = try SafetensorsFile(
            bytes: file(header: #"{"a":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}}"#, data: [0]))
        #expect(throws: SafetensorsError.self) { try eight.tensor(named: "a") }
    }

    @Test func metadataIsNoTensorName() throws {
        let folder = try TemporaryFolder()
        #expect(throws: SafetensorsError.self) {
            try Safetensors.write(["__metadata__": NDArray([Float(1)])], to: folder.file("a"))
        }
        #expect(folder.names.isEmpty)
    }
}
