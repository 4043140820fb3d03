import TensorCore
import Testing

/// One geometry that convolution must get right, forward and backward.
struct ConvolutionCase: Sendable, CustomTestStringConvertible {
    let input: [Int]
    let weight: [Int]
    let geometry: ConvolutionGeometry

    init(_ input: [Int], _ weight: [Int], _ geometry: ConvolutionGeometry) {
        self.input = input
        self.weight = weight
        self.geometry = geometry
    }

    var testDescription: String { "x \(input), w \(weight), \(geometry)" }

    static let all: [ConvolutionCase] =
        plane + pointwise + winograd + grouped + otherRanks

    /// Kernels, strides, dilations and paddings of images.
    static let plane: [ConvolutionCase] = [
        .init([2, 3, 23, 21], [8, 3, 7, 7], .init(stride: 2, padding: 3)),
        .init([1, 3, 64, 64], [64, 3, 7, 7], .init(stride: 2, padding: 3)),
        .init([2, 5, 9, 11], [7, 5, 3, 3], .init(stride: 2, padding: 1)),
        .init([3, 4, 12, 12], [6, 4, 5, 5], .init(padding: 2)),
        .init([2, 3, 13, 13], [4, 3, 3, 3], .init(padding: 2, dilation: 2)),
        .init([1, 2, 5, 5], [3, 2, 5, 5], .init()),
        .init(
            [2, 3, 8, 9], [4, 3, 3, 2],
            .init(stride: [1, 3], paddingBefore: [0, 1], paddingAfter: [2, 0], dilation: [2, 1])),
        .init([1, 4, 1, 1], [3, 4, 3, 3], .init(padding: 1)),
        .init([0, 3, 8, 8], [4, 3, 3, 3], .init(padding: 1)),
        .init(
            [1, 1, 3, 40], [1, 1, 1, 7],
            .init(stride: [1, 1], paddingBefore: [0, 3], paddingAfter: [0, 3], dilation: [1, 1])),
        .init([2, 2, 6, 6], [2, 2, 2, 2], .init(padding: 5)),
        .init([2, 40, 14, 14], [70, 40, 3, 3], .init(stride: 2, padding: 1)),
    ]

    static let pointwise: [ConvolutionCase] = [
        .init([2, 16, 7, 7], [24, 16, 1, 1], .init()),
        .init([3, 70, 5, 5], [33, 70, 1, 1], .init()),
        .init([2, 16, 9, 9], [8, 16, 1, 1], .init(stride: 2)),
        .init([2, 3, 4, 4], [5, 3, 1, 1], .init(padding: 1)),
        .init([1, 300, 14, 14], [64, 300, 1, 1], .init()),
    ]

    /// 3x3 of stride 1: sizes around the tiles of Winograd's algorithm.
    static let winograd: [ConvolutionCase] = [
        .init([1, 16, 4, 4], [16, 16, 3, 3], .init(padding: 1)),
        .init([2, 17, 7, 7], [19, 17, 3, 3], .init(padding: 1)),
        .init([5, 32, 14, 14], [48, 32, 3, 3], .init(padding: 1)),
        .init([1, 64, 28, 30], [64, 64, 3, 3], .init(padding: 1)),
        .init([2, 16, 9, 10], [16, 16, 3, 3], .init()),
        .init([2, 16, 9, 10], [16, 16, 3, 3], .init(padding: 2)),
        .init(
            [2, 20, 6, 5], [16, 20, 3, 3],
            .init(stride: [1, 1], paddingBefore: [0, 1], paddingAfter: [1, 2], dilation: [1, 1])),
        .init([33, 24, 7, 7], [40, 24, 3, 3], .init(padding: 1)),
    ]

    static let grouped: [ConvolutionCase] = [
        .init([2, 8, 9, 9], [8, 1, 3, 3], .init(padding: 1, groups: 8)),
        .init([2, 8, 15, 33], [8, 1, 3, 3], .init(stride: 2, padding: 1, groups: 8)),
        .init([1, 6, 20, 20], [6, 1, 5, 5], .init(padding: 2, groups: 6)),
        .init([2, 6, 9, 9], [12, 1, 3, 3], .init(padding: 1, groups: 6)),
        .init([2, 12, 9, 8], [18, 4, 3, 3], .init(padding: 1, groups: 3)),
        .init([2, 32, 7, 7], [32, 16, 3, 3], .init(padding: 1, groups: 2)),
        .init([1, 12, 9, 8], [18, 4, 1, 1], .init(groups: 3)),
    ]

    static let otherRanks: [ConvolutionCase] = [
        .init([2, 3, 17], [4, 3, 5], .init(spatialRank: 1, stride: 2, padding: 1)),
        .init([2, 4, 9], [4, 2, 3], .init(spatialRank: 1, padding: 2, dilation: 2, groups: 2)),
        .init([2, 2, 5, 6, 7], [3, 2, 3, 3, 3], .init(spatialRank: 3, padding: 1)),
        .init([1, 2, 5, 6, 7], [2, 1, 2, 3, 1], .init(spatialRank: 3, stride: 2, padding: 0, groups: 2)),
    ]
}

@Suite struct ConvolutionTests {
    private static func tolerance(_ dtype: DType) -> Double { dtype == .float32 ? 2e-5 : 1e-12 }

    @Test(arguments: ConvolutionCase.all, [DType.float32, .float64])
    func matchesTheDefinition(_ test: ConvolutionCase, _ dtype: DType) throws {
        let reference = try ConvolutionReference(
            geometry: test.geometry, inputShape: test.input, weightShape: test.weight)
        let outputShape = reference.outputShape
        let x = seededValues(elementCount(test.input), seed: 1)
        let w = seededValues(elementCount(test.weight), seed: 2)
        let grad = seededValues(elementCount(outputShape), seed: 3)
        let bias = seededValues(test.weight[0], seed: 4)
        let limit = Self.tolerance(dtype)

        let y = try convolution(array(x, test.input, dtype), array(w, test.weight, dtype), geometry: test.geometry)
        #expect(y.shape == outputShape)
        let sums = reference.forward(x, w)
        #expect(relativeError(y, sums) < limit)

        let residual = seededValues(elementCount(outputShape), seed: 5)
        let positions = outputShape.dropFirst(2).reduce(1, *)
        let fused = try convolution(
            array(x, test.input, dtype), array(w, test.weight, dtype), bias: array(bias, [test.weight[0]], dtype),
            geometry: test.geometry, residual: array(residual, outputShape, dtype),
            activation: .clip(low: -0.25, high: 1.5))
        let expected = sums.indices.map { index in
            min(max(sums[index] + bias[index / positions % test.weight[0]] + residual[index], -0.25), 1.5)
        }
        let scale = max(1, sums.map(abs).max() ?? 0)
        #expect(relativeError(fused, expected) < limit * scale * 4)

        let gradInput = try convolutionInputGradient(
            array(grad, outputShape, dtype), array(w, test.weight, dtype), inputShape: test.input,
            geometry: test.geometry)
        #expect(gradInput.shape == test.input)
        #expect(relativeError(gradInput, reference.inputGradient(grad, w)) < limit)

        let gradWeight = try convolutionWeightGradient(
            array(x, test.input, dtype), array(grad, outputShape, dtype), weightShape: test.weight,
            geometry: test.geometry)
        #expect(gradWeight.shape == test.weight)
        #expect(relativeError(gradWeight, reference.weightGradient(x, grad)) < limit)

        let gradBias = try convolutionBiasGradient(array(grad, outputShape, dtype))
        var expectedBias = [Double](repeating: 0, count: test.weight[0])
        for (index, value) in grad.enumerated() { expectedBias[index / positions % test.weight[0]] += value }
        #expect(relativeError(gradBias, expectedBias) < limit)
    }

    /// Packed for one batch size, run at that size and at others.
    @Test(arguments: ConvolutionCase.all, [1, 4])
    func packedMatchesTheDefinition(_ test: ConvolutionCase, _ batch: Int) throws {
        var input = test.input
        let packed = try PackedConvolution(
            weight: array(seededValues(elementCount(test.weight), seed: 2), test.weight, .float32),
            bias: array(seededValues(test.weight[0], seed: 4), [test.weight[0]], .float32), geometry: test.geometry,
            inputShape: input, activation: .relu)
        input[0] = batch
        let reference = try ConvolutionReference(
            geometry: test.geometry, inputShape: input, weightShape: test.weight)
        let x = seededValues(elementCount(input), seed: 1)
        let residual = seededValues(elementCount(reference.outputShape), seed: 5)
        let bias = seededValues(test.weight[0], seed: 4)
        let positions = reference.outputShape.dropFirst(2).reduce(1, *)
        let sums = reference.forward(x, seededValues(elementCount(test.weight), seed: 2))
        let expected = sums.indices.map { index in
            max(sums[index] + bias[index / positions % test.weight[0]] + residual[index], 0)
        }
        let y = try packed(
            array(x, input, .float32), residual: array(residual, reference.outputShape, .float32))
        #expect(y.shape == reference.outputShape)
        #expect(relativeError(y, expected) < Self.tolerance(.float32))

        // The residual may lie where the result goes.
        var inPlace = array(residual, reference.outputShape, .float32)
        array(x, input, .float32).withElements(as: Float.self) { x in
            inPlace.withMutableElements(as: Float.self) { y in
                guard let x = x.baseAddress, let y = y.baseAddress else { return }
                packed.run(batch: batch, input: x, residual: y, output: y)
            }
        }
        #expect(relativeError(inPlace, expected) < Self.tolerance(.float32))
    }

    @Test func reluKeepsNaN() throws {
        let x = NDArray([Float.nan, -1, 2, -3], shape: [1, 1, 2, 2])
        let y = try convolution(
            x, NDArray([Float(1)], shape: [1, 1, 1, 1]), geometry: ConvolutionGeometry(), activation: .relu)
        let values = y.elements(as: Float.self)
        #expect(values[0].isNaN)
        #expect(Array(values[1...]) == [0, 2, 0])
    }

    @Test func refusesWhatDoesNotFit() throws {
        let x = NDArray.zeros([1, 3, 8, 8])
        let geometry = ConvolutionGeometry()
        #expect(throws: ShapeError.self) { try convolution(x, .zeros([4, 2, 3, 3]), geometry: geometry) }
        #expect(throws: ShapeError.self) { try convolution(x, .zeros([4, 3, 9, 9]), geometry: geometry) }
        #expect(throws: ShapeError.self) { try convolution(x, .zeros([4, 3, 3]), geometry: geometry) }
        #expect(throws: ShapeError.self) {
            try convolution(x, .zeros([4, 3, 3, 3], dtype: .float64), geometry: geometry)
        }
        #expect(throws: ShapeError.self) {
            try convolution(x, .zeros([4, 3, 3, 3]), bias: .zeros([3]), geometry: geometry)
        }
        #expect(throws: ShapeError.self) {
            try convolutionInputGradient(
                .zeros([1, 4, 8, 8]), .zeros([4, 3, 3, 3]), inputShape: [1, 3, 8, 8], geometry: geometry)
        }
    }
}
