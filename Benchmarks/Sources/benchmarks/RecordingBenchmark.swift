import ArgumentParser
import FineTune

/// What recording costs: chains of multiply-adds on small tensors, beside `Benchmarks/recording.py` for PyTorch.
struct RecordingBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recording", abstract: "What recording an operation on a small tensor costs.")
    private static let length = 10_000

    func run() throws {
        let x = Tensor([Double](repeating: 1, count: 8), requiresGrad: true)
        let a = Tensor.full([8], 0.999), b = Tensor.full([8], 0.001)
        func tensors() -> Tensor { chain(from: x) { $0 * a + b } }
        func numbers() -> Tensor { chain(from: x) { $0 * 0.999 + 0.001 } }
        func backward(_ y: Tensor) throws {
            x.grad = nil
            try y.sum().backward()
        }
        try measure("forward, not recorded") { _ = noGrad { tensors() } }
        try measure("forward, recorded") { _ = tensors() }
        try measure("forward and backward") { try backward(tensors()) }
        try measure("forward and backward, numbers as operands") { try backward(numbers()) }
    }

    /// A chain of `length` operations, two in each link.
    private func chain(from x: Tensor, _ link: (Tensor) -> Tensor) -> Tensor {
        var y = x
        for _ in 0..<Self.length / 2 { y = link(y) }
        return y
    }

    private func measure(_ name: String, _ body: () throws -> Void) throws {
        let timing = try Timing.of(repeats: 15, body)
        print("\(name): \(Int(timing.median * 1e9 / Double(Self.length))) ns per operation")
    }
}
