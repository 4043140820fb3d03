import Autograd
import TensorCore

extension Op {
    /// A layer of long short-term memory over sequences, in one direction or both.
    ///
    /// i, o, f, c̃ = σ, σ, σ, tanh of W x + R h + b, with peepholes P; c' = f c + i c̃; h' = o tanh(c'). x: `[S, N, I]`; W, R, b:
    /// `[D, 4H, I]`, `[D, 4H, H]`, `[D, 8H]` in the order i, o, f, c; initial h and c: `[D, N, H]`; P: `[D, 3H]`. Y: `[S, D, N, H]`,
    /// the last h and c: `[D, N, H]`; with `layout` 1 the batch is the first axis. Other activations, `clip` and sequences of
    /// different lengths are refused. ONNX LSTM 7...; `torch.nn.LSTM`.
    public struct LSTM: CompositeOperator {
        public static let opType = "LSTM"
        public static var maximumInputs: Int { 8 }
        public static var maximumOutputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight_ih", 2: "weight_hh", 3: "bias"] }
        public static let opsets = 7...OperatorSet.newest

        /// The order in which a sequence is read.
        public enum Direction: String, Sendable { case forward, reverse, bidirectional }
        let direction: Direction
        let isBatchFirst: Bool
        let couplesForget: Bool
        let outputCount: Int

        public init(_ node: NodeAttributes) throws {
            let name = try node.string("direction", default: "forward")
            guard let direction = Direction(rawValue: name) else {
                throw node.unsupported("direction", "expected forward, reverse or bidirectional, got '\(name)'")
            }
            self.direction = direction
            isBatchFirst = try node.bool("layout", default: false)
            couplesForget = try node.bool("input_forget", default: false)
            outputCount = node.outputCount
            if node.has("clip") { throw node.unsupported("clip", "is not supported") }
            if case .strings(let names)? = node.values["activations"] {
                let usual = ["sigmoid", "tanh", "tanh"]
                guard names.map({ $0.lowercased() }) == (direction == .bidirectional ? usual + usual : usual) else {
                    throw node.unsupported("activations", "\(names) are not supported; expected Sigmoid, Tanh, Tanh")
                }
            }
        }

        private struct Sizes {
            var steps, batch, directions, hidden: Int
        }

        private func sizes(_ x: [Int], _ w: [Int], _ r: [Int]) throws -> Sizes {
            let directions = direction == .bidirectional ? 2 : 1
            guard x.count == 3, w.count == 3, r.count == 3, w[0] == directions, r[0] == directions, w[2] == x[2],
                w[1] == r[1], r[2] <= 1 << 40, r[1] == 4 * r[2]
            else {
                throw failure(
                    "expected X [S, N, I], W [\(directions), 4H, I] and R [\(directions), 4H, H], got \(x), \(w) and \(r)"
                )
            }
            let (steps, batch) = isBatchFirst ? (x[1], x[0]) : (x[0], x[1])
            return Sizes(steps: steps, batch: batch, directions: directions, hidden: r[2])
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            // States have the examples on the axis behind the directions, or in front.
            let axes = isBatchFirst ? (x: 0, state: 0, all: 0) : (x: 1, state: 1, all: 2)
            for (index, operand) in batch.inputs.enumerated() {
                guard let operand else { continue }
                if let found = operand.relation.pictures {
                    let place = index == 0 ? axes.x : [5, 6].contains(index) ? axes.state : -1
                    guard found == PictureAxis(axis: place) else { return .mixed }
                } else {
                    guard operand.relation == .constant, ![0, 4, 5, 6].contains(index) else { return .mixed }
                }
            }
            return .images(PictureAxis(axis: output == 0 ? axes.all : axes.state))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let s = try sizes(x.shape, required(inputs, 1, "W").shape, required(inputs, 2, "R").shape)
            let last = isBatchFirst ? [s.batch, s.directions, s.hidden] : [s.directions, s.batch, s.hidden]
            let all =
                isBatchFirst
                ? [s.batch, s.steps, s.directions, s.hidden] : [s.steps, s.directions, s.batch, s.hidden]
            return [all, last, last].prefix(outputCount).map { ValueInfo(x.dtype, $0) }
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let given = try required(inputs, 0, "X")
            let (w, r) = (try required(inputs, 1, "W"), try required(inputs, 2, "R"))
            let s = try sizes(given.shape, w.shape, r.shape)
            if let lengths = optional(inputs, 4), lengths.array.integers().contains(where: { $0 != s.steps }) {
                throw failure("sequences of different lengths are not supported")
            }
            func check(_ index: Int, _ name: String, _ shape: [Int]) throws {
                if let input = optional(inputs, index), input.shape != shape || input.dtype != given.dtype {
                    throw failure(
                        "input '\(name)': expected \(given.dtype) \(shape), got \(input.dtype) \(input.shape)")
                }
            }
            try check(3, "B", [s.directions, 8 * s.hidden])
            let state = isBatchFirst ? [s.batch, s.directions, s.hidden] : [s.directions, s.batch, s.hidden]
            try check(5, "initial_h", state)
            try check(6, "initial_c", state)
            try check(7, "P", [s.directions, 3 * s.hidden])
            let x = isBatchFirst ? try given.permuted([1, 0, 2]) : given
            let runs = try (0..<s.directions).map { try run($0, x, inputs, s) }
            if s.steps == 0 { throw failure("a sequence of no steps has no result") }
            let y = try Op.Concat(axis: 1)(runs.map(\.all))[0]
            let h = try Op.Concat(axis: 0)(runs.map(\.h))[0]
            let c = try Op.Concat(axis: 0)(runs.map(\.c))[0]
            if !isBatchFirst { return Array([y, h, c].prefix(outputCount)) }
            return try Array(
                [y.permuted([2, 0, 1, 3]), h.permuted([1, 0, 2]), c.permuted([1, 0, 2])].prefix(outputCount))
        }

        /// One direction: every h as `[S, 1, N, H]`, and the last h and c as `[1, N, H]`.
        private func run(
            _ direction: Int, _ x: Tensor, _ inputs: [Tensor?], _ s: Sizes
        ) throws -> (all: Tensor, h: Tensor, c: Tensor) {
            let (n, size) = (s.batch, s.hidden)
            func own(_ index: Int) throws -> Tensor? {
                try optional(inputs, index).map { input in
                    let axis = isBatchFirst && (index == 5 || index == 6) ? 1 : 0
                    var shape = input.shape
                    shape.remove(at: axis)
                    return try input.sliced([direction], [direction + 1], [axis]).reshaped(shape)
                }
            }
            guard let w = try own(1), let r = try own(2) else { throw failure("input 'W' is missing") }
            let zeros = Tensor.zeros([n, size], dtype: x.dtype)
            var (h, c) = (try own(5) ?? zeros, try own(6) ?? zeros)
            let rows = try x.reshaped([s.steps * n, x.shape[2]])
            var projected: Tensor = try apply(MatrixProduct(transposeB: true), rows, w)
            if let bias = try own(3) {
                projected = try projected + bias.sliced([0], [4 * size], [0]) + bias.sliced([4 * size], [8 * size], [0])
            }
            let peepholes = try own(7).map { p in try (0..<3).map { try p.sliced([$0 * size], [($0 + 1) * size], [0]) }
            }
            let isReverse = self.direction == .reverse || direction == 1
            var all: [Tensor] = []
            for step in 0..<s.steps {
                let place = isReverse ? s.steps - 1 - step : step
                let part = try projected.sliced([place * n], [(place + 1) * n], [0])
                let recurrent: Tensor = try apply(MatrixProduct(transposeB: true), h, r)
                let gates = part + recurrent
                func gate(_ index: Int) throws -> Tensor { try gates.sliced([index * size], [(index + 1) * size], [1]) }
                func peep(_ index: Int, _ c: Tensor) throws -> Tensor {
                    try peepholes.map { try gate(index) + $0[index] * c } ?? gate(index)
                }
                let i = try peep(0, c).sigmoid()
                let f = couplesForget ? 1 - i : try peep(2, c).sigmoid()
                c = try f * c + i * gate(3).tanh()
                h = try peep(1, c).sigmoid() * c.tanh()
                all.append(try h.reshaped([1, 1, n, size]))
            }
            if isReverse { all.reverse() }
            let outputs = all.isEmpty ? zeros : try Op.Concat(axis: 0)(all)[0]
            return (outputs, try h.reshaped([1, n, size]), try c.reshaped([1, n, size]))
        }

        public static func samples() throws -> [OperatorSample] {
            func op(_ values: [String: AttributeValue], outputs: Int = 1) throws -> Op.LSTM {
                try Op.LSTM(NodeAttributes(opType: opType, opset: 22, outputCount: outputs, values))
            }
            func values(_ shape: [Int], _ seed: Int) -> NDArray { OperatorSample.values(shape, in: -1...1, seed: seed) }
            let both: [String: AttributeValue] = ["direction": .string("bidirectional")]
            return [
                OperatorSample(
                    "forward", try op([:], outputs: 3),
                    [
                        values([2, 1, 2], 0), values([1, 8, 2], 1), values([1, 8, 2], 2), values([1, 16], 3), nil,
                        values([1, 1, 2], 4), values([1, 1, 2], 5), values([1, 6], 6),
                    ], differentiable: [0, 1, 2, 3, 5, 6, 7]),
                OperatorSample(
                    "two examples", try op([:], outputs: 3),
                    [values([2, 2, 1], 0), values([1, 4, 1], 1), values([1, 4, 1], 2)], differentiable: [0, 1, 2]),
                OperatorSample(
                    "both", try op(both, outputs: 2),
                    [values([2, 1, 2], 0), values([2, 4, 2], 1), values([2, 4, 1], 2)],
                    differentiable: [0, 1, 2]),
                OperatorSample(
                    "reverse, batch first", try op(["direction": .string("reverse"), "layout": .int(1)]),
                    [values([1, 2, 2], 0), values([1, 4, 2], 1), values([1, 4, 1], 2)], differentiable: [0, 1, 2]),
            ]
        }
    }
}
