import Autograd
import Operators
import TensorCore
import Testing

/// Where tensors answer as PyTorch does, measured by what the same program gives out of place.
@Suite struct Semantics {
    private func leaf(_ values: [Double]) throws -> Tensor { try Tensor(values, dtype: .float64, requiresGrad: true) }

    /// In-place methods, and the same out of place.
    private typealias Method = @Sendable (Tensor, Tensor) throws -> Tensor

    private static let pairs: [(String, Method, Method)] = [
        ("add_", { try $0.add_($1, alpha: 2) }, { $0 + $1 * 2 }), ("sub_", { try $0.sub_($1) }, { $0 - $1 }),
        ("mul_", { try $0.mul_($1) }, { $0 * $1 }), ("div_", { try $0.div_($1) }, { $0 / $1 }),
        ("mul_ number", { q, _ in try q.mul_(3) }, { q, _ in q * 3 }),
        ("mul_ itself", { q, _ in try q.mul_(q) }, { q, _ in q * q }),
        ("exp_", { q, _ in try q.exp_() }, { q, _ in q.exp() }),
        ("relu_", { q, _ in try q.relu_() }, { q, _ in q.relu() }),
        ("clamp_", { q, _ in try q.clamp_(min: -0.5, max: 1) }, { q, _ in q.clamp(min: -0.5, max: 1) }),
        ("copy_", { try $0.copy_($1) }, { q, w in q * 0 + w }),
        ("fill_", { q, _ in try q.fill_(2) }, { q, _ in q * 0 + 2 }),
        ("zero_", { q, _ in try q.zero_() }, { q, _ in q * 0 }),
        (
            "assign",
            { q, w in
                try q.assign(w[0], at: 1)
                return q
            }, { q, w in cat([q[0..<1], w[0..<1], q[2...]]) }
        ),
    ]

    @Test(arguments: 0..<13) func inPlaceMethodsHaveTheGradientsOfTheOthers(number: Int) throws {
        let (name, inPlace, outOfPlace) = Self.pairs[number]
        func run(_ method: Method) throws -> [[Double]] {
            let (x, w) = (try leaf([0.3, -1.2, 1.1]), try leaf([1.5, 0.7, -2]))
            let y = try method(x * x * x, w).exp() * w
            let first = try grad(of: [y.sum()], wrt: [x, w], createGraph: true, allowUnused: true).map {
                $0 ?? Tensor.zerosLike(x)
            }
            let second = try grad(
                of: [(first[0] * first[0]).sum() + first[1].sum()], wrt: [x, w], allowUnused: true)
            return [y.doubles()] + first.map { $0.doubles() } + second.map { $0?.doubles() ?? [0, 0, 0] }
        }
        for (a, b) in zip(try run(inPlace), try run(outOfPlace)) {
            for (p, q) in zip(a, b) { #expect(abs(p - q) <= 1e-9 * Swift.max(1, abs(q)), "\(name): \(a) and \(b)") }
        }
    }

    @Test func polynomialsHaveDerivativesOfEveryOrder() throws {
        let cases: [((Tensor) -> Tensor, [Double])] = [
            ({ $0 ** 1 }, [1, 0, 0, 0, 0]), ({ $0 ** 2 }, [4, 2, 0, 0, 0]), ({ $0 ** 3 }, [12, 12, 6, 0, 0]),
            ({ $0 * 5 + 1 }, [5, 0, 0, 0, 0]), ({ $0 * $0 - $0 }, [3, 2, 0, 0, 0]),
        ]
        for (function, expected) in cases {
            let x = try Tensor(2, dtype: .float64, requiresGrad: true)
            var y = function(x)
            for derivative in expected {
                y = try grad(of: y, wrt: x, createGraph: true)
                #expect(y.item() == derivative)
            }
        }
    }

    @Test func retainedGradientsFillInGradToo() throws {
        let x = Tensor(2, requiresGrad: true)
        let y = x * x
        try y.retainGrad()
        #expect(try grad(of: y * 3, wrt: x).item() == 12)
        #expect(y.grad?.item() == 3)
    }

    @Test func anInputMayBecomeALeafAfterwards() throws {
        let (x, w) = (Tensor([1, 2]), Tensor([3, 4], requiresGrad: true))
        let clean = (x * w).sum()
        try x.requiresGrad_()
        let slope = try grad(of: (x * w * w).sum(), wrt: x)
        try clean.backward()
        #expect(slope.doubles() == [9, 16] && w.grad?.doubles() == [1, 2] && x.grad == nil)
    }

    @Test func flagsAreSettableAndNamesAreThere() throws {
        let t = Tensor.zeros(2, 3, requiresGrad: true)
        #expect(t.requiresGrad && t[.all, 0].shape == [2])
        t.requiresGrad = false
        #expect(!t.requiresGrad)
        let error = #expect(throws: AutogradError.self) { try t.sum().backward() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("unfreeze"))
    }

    @Test func jacobiansAndHessians() throws {
        let x = Tensor([1, 2], dtype: .float64)
        let j = try jacobian({ $0 * $0 * 3 }, at: x)
        #expect(j.array(as: [[Double]].self) == [[6, 0], [0, 12]])
        let cube: (Tensor) throws -> Tensor = { ($0 ** 3).sum() }
        #expect(try hessian(cube, at: x).array(as: [[Double]].self) == [[6, 0], [0, 12]])
        let v = Tensor([1, 10], dtype: .float64)
        #expect(try jvp({ $0 * $0 }, at: x, vector: v).product.doubles() == [2, 40])
        #expect(try hvp(cube, at: x, vector: v).product.doubles() == [6, 120])
    }

    #if os(Linux) || os(macOS)
        @Test func mistakesKeepTheirText() async {
            let result = await #expect(
                processExitsWith: .failure, observing: [\.standardErrorContent]
            ) { _ = Tensor([1, 2]) + Tensor([1, 2, 3]) }
            let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(text.contains("[2]") && text.contains("[3]") && text.contains("broadcast"), "\(text.prefix(400))")
        }
    #endif
}
