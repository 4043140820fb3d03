import TensorCore
import Testing

private let large = 1 << 30
private let longest = Int(Int32.max)

/// An operation whose operands are small or empty and whose result, or what it is computed through, is not.
struct OversizedAttempt: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let run: @Sendable () throws -> Void

    init(_ name: String, _ run: @escaping @Sendable () throws -> NDArray) {
        testDescription = name
        self.run = { _ = try run() }
    }

    static let products: [OversizedAttempt] = [
        .init("gemm of nothing") { try gemm(.zeros([large, 0]), .zeros([0, large])) },
        .init("matmul of nothing") { try .matmul(.zeros([large, 0]), .zeros([0, large])) },
        .init("matmul of a batch of nothing") { try .matmul(.zeros([large, 1, 2, 0]), .zeros([1, large, 0, 2])) },
        .init("layer norm of nothing") {
            try NDArray.zeros([large, large, 0]).layerNormalized(
                axis: 2, scale: .zeros([0]), bias: nil, epsilon: 1e-5
            ).mean
        },
    ]

    static let reductions: [OversizedAttempt] = [
        .init("sum of nothing") { try NDArray.zeros([large, large, 0]).sum(axes: [2], keepDims: true) },
        .init("mean of nothing") { try NDArray.zeros([large, large, 0]).mean(axes: [2], keepDims: false) },
        .init("product of nothing") { try NDArray.zeros([large, large, 0]).prod(axes: [2], keepDims: true) },
        .init("maximum of nothing") { try NDArray.zeros([large, large, 0]).max(axes: [2], keepDims: true) },
    ]

    static let rearrangements: [OversizedAttempt] = [
        .init("concatenation") {
            try .concatenate([NDArray](repeating: .zeros([1 << 60, 0], dtype: .int8), count: 16), axis: 0)
        },
        .init("expanded behind an empty axis") { try NDArray.zeros([1]).broadcast(to: [0, 1 << 32, 1 << 32]) },
        .init("expanded before an empty axis") { try NDArray.zeros([1]).broadcast(to: [1 << 32, 1 << 32, 0]) },
        .init("edges") { try NDArray.zeros([1]).padded(before: [0], after: [1 << 40], mode: .edge) },
        .init("negative size") { try NDArray.zeros([1]).broadcast(to: [-1]) },
    ]

    static let windows: [OversizedAttempt] = [
        .init("padded convolution") {
            let geometry = ConvolutionGeometry(
                stride: [1, 1], paddingBefore: [longest, longest], paddingAfter: [0, 0], dilation: [1, 1])
            return try convolution(.zeros([1, 1, 4, 4]), .zeros([1, 1, 1, 1]), geometry: geometry)
        },
        .init("transposed convolution") {
            let geometry = ConvolutionGeometry(spatialRank: 2, stride: longest)
            return try convolutionInputGradient(
                .zeros([1, 1, 2, 2]), .zeros([1, 1, 1, 1]), inputShape: [1, 1, longest + 1, longest + 1],
                geometry: geometry)
        },
        .init("convolution of no channels") {
            try convolution(.zeros([1, 0, large, large]), .zeros([8, 0, 3, 3]), geometry: ConvolutionGeometry())
        },
        .init("more groups than numbers") {
            try convolution(
                .zeros([1, 1, 4, 4]), .zeros([0, 1 << 60, 1, 1], dtype: .int8),
                geometry: ConvolutionGeometry(groups: longest))
        },
        .init("padded maximum") {
            let geometry = PoolGeometry(kernelShape: [2, 2], padsBegin: [longest, 0], padsEnd: [0, longest])
            return try NDArray.zeros([1, 1, 1, 1]).maxPooled(geometry).output
        },
        .init("padded average") {
            let geometry = PoolGeometry(kernelShape: [2, 2], padsBegin: [longest, 0], padsEnd: [0, longest])
            return try NDArray.zeros([1, 1, 1, 1]).averagePooled(geometry)
        },
    ]
}

@Suite struct SizeLimitTests {
    @Test(
        arguments: OversizedAttempt.products + OversizedAttempt.reductions + OversizedAttempt.rearrangements
            + OversizedAttempt.windows)
    func oversizedResultsAreRefused(_ attempt: OversizedAttempt) {
        #expect(throws: ShapeError.self) { try attempt.run() }
    }

    @Test func emptyAxesMakeNoElementsOfAnySizes() {
        #expect(elementCount([1 << 40, 1 << 40, 0]) == 0)
        #expect(elementCount([0, 1 << 40, 1 << 40]) == 0)
        #expect(checkedElementCount([1 << 20, 0], bytesPerElement: 4) == 0)
        #expect(checkedElementCount([1 << 20, 3], bytesPerElement: 4) == 3 << 20)
        #expect(checkedElementCount([1 << 60, 0], bytesPerElement: 4) == nil)
        #expect(checkedElementCount([-1, 0]) == nil)
    }

    /// Windows of more elements than fit into a number.
    @Test func poolsThroughEnormousWindows() throws {
        let pads = [Int](repeating: longest / 2, count: 3)
        let geometry = PoolGeometry(kernelShape: [longest, longest, longest], padsBegin: pads, padsEnd: pads)
        let x = NDArray([2.5], shape: [1, 1, 1, 1, 1])
        #expect(try x.maxPooled(geometry).output.isBitIdentical(to: x))
        #expect(try x.averagePooled(geometry).isBitIdentical(to: x))
    }

    /// One step is longer than the input: its gradient is that of the only window.
    @Test(arguments: [DType.float32, .float64])
    func gradientOfALongStride(_ dtype: DType) throws {
        let geometry = ConvolutionGeometry(spatialRank: 2, stride: longest)
        let w = NDArray([1.0, 2, 3, 4], shape: [1, 1, 2, 2]).converted(to: dtype)
        let g = NDArray([2.0], shape: [1, 1, 1, 1]).converted(to: dtype)
        let gradient = try convolutionInputGradient(g, w, inputShape: [1, 1, 2, 3], geometry: geometry)
        #expect(gradient.dtype == dtype)
        #expect(gradient.doubles() == [2, 4, 0, 6, 8, 0])
    }

    @Test func productsOfNothingAreZero() throws {
        let y = try NDArray.matmul(.zeros([2, 3, 0]), .zeros([2, 0, 4]))
        #expect(y.isBitIdentical(to: .zeros([2, 3, 4])))
    }
}
