import Autograd
import Operators
import TensorCore

/// What recording costs: chains of multiply-adds on small tensors, beside `Benchmarks/recording.py` for PyTorch.
///
///     swift run -c release --package-path Benchmarks recording
@main
struct Recording {
    static let length = 10_000
    let x = Tensor([Double](repeating: 1, count: 8), requiresGrad: true)
    let a = Tensor.full([8], 0.999)
    let b = Tensor.full([8], 0.001)

    static func main() throws {
        let chains = Recording()
        try measure("forward, not recorded") { _ = noGrad { chains.ofTensors() } }
        try measure("forward, recorded") { _ = chains.ofTensors() }
        try measure("forward and backward") { try chains.backward(chains.ofTensors()) }
        try measure("forward and backward, numbers as operands") { try chains.backward(chains.ofNumbers()) }
    }

    func ofTensors() -> Tensor {
        var y = x
        for _ in 0..<Recording.length / 2 { y = y * a + b }
        return y
    }

    func ofNumbers() -> Tensor {
        var y = x
        for _ in 0..<Recording.length / 2 { y = y * 0.999 + 0.001 }
        return y
    }

    func backward(_ y: Tensor) throws {
        x.grad = nil
        try y.sum().backward()
    }

    /// Prints the nanoseconds per operation: the median of several runs.
    static func measure(_ name: String, rounds: Int = 15, _ body: () throws -> Void) throws {
        var times: [Double] = []
        for _ in 0..<rounds {
            let (seconds, attoseconds) = try ContinuousClock().measure(body).components
            times.append(Double(seconds) * 1e9 + Double(attoseconds) / 1e9)
        }
        print("\(name): \(Int(times.sorted()[rounds / 2] / Double(length))) ns per operation")
    }
}
