import TensorCore
import Testing

@testable import ONNX

/// Every way of storing elements gives the same array.
@Suite struct WireTensorTests {
    private func tensor(dims: [Int64], type: Int64, _ build: (inout Message) -> Void) throws -> TensorProto {
        let file = try ModelFile.read(
            .model { graph in
                graph.message(5) { tensor in
                    for dim in dims { tensor.int(1, dim) }
                    tensor.int(2, type)
                    tensor.text(8, "t")
                    build(&tensor)
                }
                graph.valueInfo(12, "t", dims)
            })
        return file.model.graph.initializers[0]
    }

    @Test func floats() throws {
        let values: [Float] = [1, -0.0, .infinity, 0x1p-140, 5, 6]
        let expected = NDArray(values, shape: [2, 3])
        let raw = try tensor(dims: [2, 3], type: 1) { $0.data(9, littleEndian(values)) }
        let packed = try tensor(dims: [2, 3], type: 1) { $0.data(4, littleEndian(values)) }
        let unpacked = try tensor(dims: [2, 3], type: 1) { message in for value in values { message.float(4, value) } }
        let mixed = try tensor(dims: [2, 3], type: 1) { message in
            message.float(4, values[0])
            message.data(4, littleEndian(Array(values[1..<5])))
            message.text(12, "between")
            message.float(4, values[5])
        }
        for tensor in [raw, packed, unpacked, mixed] {
            #expect(try tensor.array().isBitIdentical(to: expected))
        }
        #expect([raw, packed].map(\.storageName) == ["raw_data", "float_data"])
    }

    @Test func doublesAndWideIntegers() throws {
        let doubles = try tensor(dims: [2], type: 11) { $0.data(10, littleEndian([1.5, -2.0])) }
        #expect(try doubles.array().elements(as: Double.self) == [1.5, -2])
        let longs = try tensor(dims: [3], type: 7) { $0.packed(7, [1, -1, .max]) }
        #expect(try longs.array().elements(as: Int64.self) == [1, -1, .max])
        let unpacked = try tensor(dims: [2], type: 7) {
            $0.int(7, -5)
            $0.int(7, 6)
        }
        #expect(try unpacked.array().elements(as: Int64.self) == [-5, 6])
        let unsigned = try tensor(dims: [2], type: 13) { $0.packed(11, [1, -1]) }
        #expect(try unsigned.array().elements(as: UInt64.self) == [1, .max])
        let words = try tensor(dims: [1], type: 12) { $0.packed(11, [4_000_000_000]) }
        #expect(try words.array().elements(as: UInt32.self) == [4_000_000_000])
    }

    @Test func narrowTypesInInt32Data() throws {
        func read(_ type: Int64, _ values: [Int64]) throws -> NDArray {
            try tensor(dims: [Int64(values.count)], type: type) { $0.packed(5, values) }.array()
        }
        #expect(try read(6, [-7, 7]).elements(as: Int32.self) == [-7, 7])
        #expect(try read(5, [-300, 300]).elements(as: Int16.self) == [-300, 300])
        #expect(try read(3, [-128, 127]).elements(as: Int8.self) == [-128, 127])
        #expect(try read(4, [0, 65535]).elements(as: UInt16.self) == [0, 65535])
        #expect(try read(2, [0, 255]).elements(as: UInt8.self) == [0, 255])
        #expect(try read(9, [0, 1, 2]).elements(as: Bool.self) == [false, true, true])
        #expect(try read(10, [0x3C00, 0xC000]).doubles() == [1, -2])
        #expect(try read(16, [0x3F80, 0xC000]).doubles() == [1, -2])
        for (type, value) in [(3, 128), (2, -1), (4, 65536), (5, 40000), (10, 65536), (16, -1)] as [(Int64, Int64)] {
            #expect(throws: ONNXError.self) { try read(type, [value]) }
        }
    }

    @Test func everyTypeInRawData() throws {
        let types: [(Int64, DType)] = [
            (1, .float32), (2, .uint8), (3, .int8), (4, .uint16), (5, .int16), (6, .int32), (7, .int64), (9, .bool),
            (10, .float16), (11, .float64), (12, .uint32), (13, .uint64), (16, .bfloat16),
        ]
        #expect(Set(types.map(\.1)) == Set(DType.allCases))
        for (type, dtype) in types {
            let raw = (0..<3 * dtype.size).map { dtype == .bool ? UInt8($0 & 1) : UInt8($0 + 1) }
            let array = try tensor(dims: [3], type: type) { $0.data(9, raw) }.array()
            #expect(array.dtype == dtype)
            #expect(array.withLittleEndianBytes { Array($0) } == raw)
        }
    }

    @Test func emptyTensorsAndScalars() throws {
        #expect(try tensor(dims: [0, 3], type: 1) { _ in }.array().shape == [0, 3])
        #expect(try tensor(dims: [0], type: 7) { $0.data(9, []) }.array().count == 0)
        #expect(try tensor(dims: [], type: 7) { $0.packed(7, [42]) }.array().integers() == [42])
        // Some exporters leave an empty raw_data beside the field they use.
        let both = try tensor(dims: [1], type: 7) {
            $0.packed(7, [42])
            $0.data(9, [])
        }
        #expect(try both.array().integers() == [42])
    }

    private static let refused:
        [(name: String, dims: [Int64], type: Int64, fields: @Sendable (inout Message) -> Void, says: String)] = [
            ("negative dim", [-1], 1, { $0.data(9, [0, 0, 0, 0]) }, "dims [-1] are negative"),
            ("overflowing dims", [1 << 40, 1 << 40], 1, { $0.data(9, [0, 0, 0, 0]) }, "too large"),
            ("dims overflow to zero", [1 << 32, 1 << 32], 1, { _ in }, "too large"),
            (
                "too few bytes", [2], 1, { $0.data(9, [0, 0, 0, 0]) },
                "raw_data holds 4 bytes, dims [2] of FLOAT need 8"
            ),
            ("too many bytes", [1], 1, { $0.data(9, [0, 0, 0, 0, 0]) }, "holds 5 bytes"),
            ("no bytes", [4], 1, { _ in }, "holds 0 bytes, dims [4] of FLOAT need 16"),
            (
                "two forms", [1], 1,
                {
                    $0.data(9, [0, 0, 0, 0])
                    $0.float(4, 1)
                }, "float_data and raw_data"
            ),
            ("wrong field", [1], 1, { $0.packed(7, [1]) }, "elements of type FLOAT in int64_data"),
            ("too few numbers", [3], 7, { $0.packed(7, [1, 2]) }, "need 3"),
            ("too many numbers", [1], 7, { $0.packed(7, [1, 2]) }, "more than 1"),
            ("huge dims, few numbers", [1 << 40], 7, { $0.packed(7, [1, 2]) }, "at most 2"),
            ("number cut off", [2], 7, { $0.data(7, [1, 0x80]) }, "ends inside a number"),
            ("half a float", [1], 1, { $0.data(4, [0, 0]) }, "holds 2 bytes"),
            ("strings", [1], 8, { $0.text(6, "a") }, "elements of type STRING cannot be computed with"),
            ("no type", [1], 0, { $0.data(9, [0]) }, "UNDEFINED"),
            ("8-bit float", [1], 17, { $0.data(9, [0]) }, "FLOAT8E4M3FN"),
            ("future type", [1], 99, { $0.data(9, [0]) }, "element type 99"),
            (
                "segment", [1], 1,
                {
                    $0.data(9, [0, 0, 0, 0])
                    $0.message(3) { $0.int(1, 0) }
                }, "segments"
            ),
            (
                "external and raw", [1], 1,
                {
                    $0.data(9, [0, 0, 0, 0])
                    $0.external([("location", "w")])
                }, "in the model and in another file"
            ),
            (
                "external undeclared", [1], 1,
                {
                    $0.message(13) {
                        $0.text(1, "location")
                        $0.text(2, "w")
                    }
                }, "not declared"
            ),
        ]

    @Test(arguments: refused.indices)
    func refuses(_ index: Int) throws {
        let row = WireTensorTests.refused[index]
        let tensor = try tensor(dims: row.dims, type: row.type, row.fields)
        let error = #expect(throws: ONNXError.self, "\(row.name)") { try tensor.array() }
        #expect(error?.description.hasPrefix("model.onnx: tensor 't': ") == true)
        #expect(error?.reason.contains(row.says) == true, "\(row.name): \(error?.description ?? "")")
    }

    /// Elements of an aligned field are the file's own bytes.
    @Test func alignedElementsAreBorrowed() throws {
        var borrowed = 0
        for padding in 0..<4 {
            let values = [Float](repeating: 1.5, count: 64)
            let file = try ModelFile.read(
                .model { graph in
                    graph.text(2, String(repeating: "g", count: padding + 1))
                    graph.floats("t", [64], values)
                    graph.valueInfo(12, "t", [64])
                })
            let array = try file.model.graph.initializers[0].array()
            #expect(array.elements(as: Float.self) == values)
            let isInside = file.bytes.withUnsafeBytes { raw in
                array.withUnsafeBytes {
                    $0.baseAddress.map { raw.baseAddress! <= $0 && $0 < raw.baseAddress! + raw.count }
                }
            }
            if isInside == true { borrowed += 1 }
        }
        #expect(borrowed == 1)
    }
}
