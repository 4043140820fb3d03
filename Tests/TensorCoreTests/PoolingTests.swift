import Foundation
import TensorCore
import TestSupport
import Testing

struct PoolingTests {
    private struct Case: Decodable {
        let kernel: [Int]
        let strides: [Int]
        let pads: [Int]
        let dilations: [Int]
        let ceilMode: Bool
        let countIncludePad: Bool
        let x: StoredArray
        let max: StoredArray
        let indices: StoredArray
        let maxGradOutput: StoredArray
        let maxGrad: StoredArray
        let average: StoredArray
        let averageGradOutput: StoredArray
        let averageGrad: StoredArray
    }

    @Test func poolsAsPyTorch() throws {
        let file = TestFiles.fixtures.appendingPathComponent("arrays/pooling.json")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let goldens = try decoder.decode(Goldens<Case>.self, from: Data(contentsOf: file))
        #expect(goldens.cases.count == 60)
        for golden in goldens.cases {
            let x = golden.x.array
            let tolerance = x.dtype == .float32 ? 1e-6 : 1e-14
            var geometry = PoolGeometry(
                kernelShape: golden.kernel, strides: golden.strides, padsBegin: golden.pads, padsEnd: golden.pads,
                dilations: golden.dilations, ceilMode: golden.ceilMode)
            let (output, indices) = try x.maxPooled(geometry, wantsIndices: true)
            let name = "\(golden.kernel) \(golden.strides) \(golden.pads) \(golden.dilations) \(golden.ceilMode)"
            let positions = try #require(indices)
            #expect(difference(output, golden.max.array, rtol: 0, atol: 0) == nil, "\(name)")
            #expect(positions.converted(to: .int64).isBitIdentical(to: golden.indices.array), "\(name)")
            let plain = try x.maxPooled(geometry).output
            #expect(difference(plain, output, rtol: 0, atol: 0) == nil, "\(name)")
            let gradient = try NDArray.maxPoolGradient(
                golden.maxGradOutput.array, indices: positions, inputShape: x.shape)
            #expect(difference(gradient, golden.maxGrad.array, rtol: tolerance, atol: tolerance) == nil, "\(name)")
            #expect(difference(try x.gatherByPoolIndices(positions), output, rtol: 0, atol: 0) == nil, "\(name)")

            geometry.dilations = geometry.dilations.map { _ in 1 }
            geometry.countIncludePad = golden.countIncludePad
            let average = try x.averagePooled(geometry)
            #expect(difference(average, golden.average.array, rtol: tolerance, atol: tolerance) == nil, "\(name)")
            let averageGradient = try NDArray.averagePoolGradient(
                golden.averageGradOutput.array, inputShape: x.shape, geometry)
            let problem = difference(averageGradient, golden.averageGrad.array, rtol: tolerance, atol: tolerance)
            #expect(problem == nil, "\(name)")
        }
    }

    /// Asymmetric pads and dilated means, which PyTorch does not have, against the definition.
    @Test func asymmetricWindows() throws {
        for (kernel, strides, begin, end, dilations, ceilMode) in [
            ([3, 2], [2, 1], [0, 1], [1, 0], [1, 1], false), ([2, 2], [2, 3], [1, 0], [0, 2], [2, 1], true),
            ([3, 3], [1, 2], [2, 0], [0, 1], [2, 2], false), ([1, 4], [3, 2], [0, 2], [0, 3], [1, 1], true),
        ] as [([Int], [Int], [Int], [Int], [Int], Bool)] {
            let x = randomArray([2, 2, 6, 7], seed: 4)
            for includePad in [false, true] {
                let geometry = PoolGeometry(
                    kernelShape: kernel, strides: strides, padsBegin: begin, padsEnd: end, dilations: dilations,
                    ceilMode: ceilMode, countIncludePad: includePad)
                let shape = try geometry.outputShape(x.shape)
                let reference = Reference(x)
                let size = [6, 7]
                func window(_ index: [Int]) -> (inside: [Double], padded: Int) {
                    var inside: [Double] = []
                    var padded = 0
                    for taps in allIndices(kernel) {
                        let row: Int = index[2] * strides[0] - begin[0] + taps[0] * dilations[0]
                        let column: Int = index[3] * strides[1] - begin[1] + taps[1] * dilations[1]
                        if row < size[0] + end[0] && column < size[1] + end[1] { padded += 1 }
                        if row >= 0 && row < size[0] && column >= 0 && column < size[1] {
                            inside.append(reference[[index[0], index[1], row, column]])
                        }
                    }
                    return (inside, padded)
                }
                let largest = Reference(shape) { window($0).inside.max() ?? -.infinity }
                let mean = Reference(shape) { index in
                    let (inside, padded) = window(index)
                    let count = includePad ? padded : inside.count
                    return count == 0 ? 0 : inside.reduce(0, +) / Double(count)
                }
                #expect(difference(try x.maxPooled(geometry).output, largest.array(), rtol: 1e-14) == nil)
                #expect(difference(try x.averagePooled(geometry), mean.array(), rtol: 1e-13) == nil)
                let g = randomArray(shape, seed: 8)
                let back = try NDArray.averagePoolGradient(g, inputShape: x.shape, geometry)
                let left = zip(mean.values, g.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
                let right = zip(x.doubles(), back.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
                #expect(Swift.abs(left - right) < 1e-12)
            }
        }
    }

    @Test func resNetStem() throws {
        // Whole numbers: equal elements in a window are common.
        let x = try randomArray([2, 3, 112, 112], .float32, scale: 2).map(.round)
        let geometry = PoolGeometry(kernelShape: [3, 3], strides: [2, 2], padsBegin: [1, 1], padsEnd: [1, 1])
        let (fast, slow) = (try x.maxPooled(geometry).output, try x.maxPooled(geometry, wantsIndices: true).output)
        #expect(fast.shape == [2, 3, 56, 56] && difference(fast, slow, rtol: 0, atol: 0) == nil)
    }

    @Test func onnxNumbersIndicesThroughPlanes() throws {
        let x = NDArray((0..<32).map { Float($0) }, shape: [1, 2, 4, 4])
        let geometry = PoolGeometry(kernelShape: [2, 2], strides: [2, 2])
        let indices = try #require(try x.maxPooled(geometry, wantsIndices: true).indices)
        #expect(indices.integers() == [5, 7, 13, 15, 5, 7, 13, 15])
        let rows = try NDArray.onnxPoolIndices(indices, inputShape: x.shape)
        #expect(rows.integers() == [5, 7, 13, 15, 21, 23, 29, 31])
        let columns = try NDArray.onnxPoolIndices(indices, inputShape: x.shape, storageOrder: 1)
        #expect(columns.integers() == [5, 13, 7, 15, 21, 29, 23, 31])
    }

    @Test func narrowTypesAndErrors() throws {
        let x = NDArray([UInt8(3), 200, 7, 9], shape: [1, 1, 2, 2])
        let geometry = PoolGeometry(kernelShape: [2, 2])
        #expect(try x.maxPooled(geometry).output.elements(as: UInt8.self) == [200])
        #expect(try x.converted(to: .float16).averagePooled(geometry).item() == 54.75)
        #expect(throws: ShapeError.self) { try x.averagePooled(geometry) }
        #expect(throws: ShapeError.self) { try x.maxPooled(PoolGeometry(kernelShape: [3, 3])) }
        #expect(throws: ShapeError.self) { try x.maxPooled(PoolGeometry(kernelShape: [2])) }
        #expect(throws: ShapeError.self) { try x.maxPooled(PoolGeometry(kernelShape: [2, 2], strides: [0, 1])) }
        #expect(throws: ShapeError.self) { try x.maxPooled(PoolGeometry(kernelShape: [2, 2], padsEnd: [-1, 0])) }
        #expect(throws: ShapeError.self) { try x.maxPooled(PoolGeometry(kernelShape: [2, 2], dilations: [1])) }
        let stray = NDArray([Int32(4)], shape: [1, 1, 1, 1])
        #expect(throws: ShapeError.self) {
            try NDArray.maxPoolGradient(NDArray.ones([1, 1, 1, 1]), indices: stray, inputShape: [1, 1, 2, 2])
        }
        let empty = try NDArray.zeros([0, 3, 4, 4]).maxPooled(geometry, wantsIndices: true)
        #expect(empty.output.shape == [0, 3, 3, 3])
    }
}
