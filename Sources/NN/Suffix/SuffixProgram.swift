import GraphIR
import Operators
import TensorCore

/// The trainable convolutional part of a graph, prepared for one batch of images: its forward pass and its backward pass.
///
/// Images stay blocked. Batch norm, sums and ReLU between two convolutions are one pass over memory each way. Of a
/// normalised convolution only the convolution's result is kept for backward; what follows it is computed again when a
/// weight gradient asks for it. A convolution's result becomes its own gradient in place. All memory is planned before.
struct SuffixProgram {
    /// An array of the program: images of one shape.
    struct Value {
        var channels: Int
        var height: Int
        var width: Int
        /// The step that makes it.
        var step: Int
        /// Whether a trainable parameter lies behind it.
        var needsGradient: Bool
        var positions: Int { height * width }
    }

    /// What images are normalised by.
    enum Norm {
        /// A convolution's bias.
        case bias(parameter: Int)
        /// Position in `norms`, of the scale and of the shift, where there are any.
        case batch(Int, scale: Int?, shift: Int?)
    }

    struct Operand {
        var value: Int
        var norm: Norm?
    }

    enum Step {
        /// A program input in the blocked layout.
        case block(input: Int, output: Int)
        /// `input` is nil where the program's input `planar` is read as it is.
        case convolution(BlockedConvolution, input: Int?, planar: Int, weight: Int, output: Int)
        case sum([Operand], isRectified: Bool, output: Int)
        case maxPool(BlockedMaxPool, Op.MaxPool, input: Int, output: Int)
        /// Writes the program's result; `output` has one position.
        case average(input: Int, output: Int)
    }

    /// How a batch norm was, when the program was made.
    struct BatchNorm {
        let module: BatchNorm2d
        let followsBatch: Bool
    }

    let batch: Int
    var steps: [Step] = []
    var values: [Value] = []
    var norms: [BatchNorm] = []
    /// The function's inputs: boundary values, then parameters.
    var inputs: [ValueID] = []
    var parameters: [Parameter] = []
    /// What is handed on, by value.
    var outputs: [(id: ValueID, value: Int)] = []

    init(batch: Int) { self.batch = batch }

    /// Shape of an output as an array of the graph.
    func shape(_ value: Int) -> [Int] { [batch, values[value].channels, values[value].height, values[value].width] }

    /// Elements of a blocked array.
    func elements(_ value: Int) -> Int {
        batch
            * ImageLayout.blocked.elementsPerImage(channels: values[value].channels, positions: values[value].positions)
    }

    /// Averages lie in planar arrays of their own.
    func isPlanar(_ value: Int) -> Bool {
        if case .average = steps[values[value].step] { return true }
        return false
    }

    func needsGradient(parameter: Int?) -> Bool { parameter.map { parameters[$0].requiresGrad } ?? false }
}

extension SuffixProgram.Step {
    var reads: [Int] {
        switch self {
        case .block: []
        case .convolution(_, let input, _, _, _): input.map { [$0] } ?? []
        case .sum(let operands, _, _): operands.map(\.value)
        case .maxPool(_, _, let input, _), .average(let input, _): [input]
        }
    }

    var output: Int {
        switch self {
        case .block(_, let output), .convolution(_, _, _, _, let output), .sum(_, _, let output),
            .maxPool(_, _, _, let output), .average(_, let output):
            output
        }
    }
}

extension SuffixProgram.Norm {
    /// Positions of the parameters that belong to it.
    var parameters: [Int] {
        switch self {
        case .bias(let parameter): [parameter]
        case .batch(_, let scale, let shift): [scale, shift].compactMap { $0 }
        }
    }
}
