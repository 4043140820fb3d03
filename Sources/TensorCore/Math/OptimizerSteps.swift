import CKernels

/// Settings of `NDArray.sgdStep`; the fields are those of `torch.optim.SGD`.
public struct SGDSettings: Sendable, Hashable {
    public var learningRate: Double
    public var momentum: Double
    public var dampening: Double
    public var weightDecay: Double
    public var nesterov: Bool

    public init(
        learningRate: Double, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0,
        nesterov: Bool = false
    ) {
        self.learningRate = learningRate
        self.momentum = momentum
        self.dampening = dampening
        self.weightDecay = weightDecay
        self.nesterov = nesterov
    }
}

/// Settings of `NDArray.adamStep`; the fields are those of `torch.optim.Adam`.
public struct AdamSettings: Sendable, Hashable {
    public var learningRate: Double
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    public var weightDecay: Double
    /// Weight decay shrinks the parameter (AdamW) instead of adding to the gradient (Adam).
    public var isDecoupled: Bool
    /// Divides by the largest second moment so far instead of the present one.
    public var amsgrad: Bool

    public init(
        learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
        weightDecay: Double = 0, isDecoupled: Bool = false, amsgrad: Bool = false
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.isDecoupled = isDecoupled
        self.amsgrad = amsgrad
    }
}

extension NDArray {
    /// One step of stochastic gradient descent in place; arrays are `float32` or `float64` of one shape.
    ///
    /// d = g + weightDecay p; with momentum m = momentum m + (1 - dampening) d, at the first step m = d;
    /// p -= learningRate * (nesterov ? d + momentum m : m). The buffer is made at the first step, and never without
    /// momentum. `torch.optim.SGD`.
    public static func sgdStep(
        _ parameter: inout NDArray, gradient: NDArray, momentumBuffer: inout NDArray?, _ settings: SGDSettings
    ) throws {
        try requireMatching("SGD", parameter, [gradient] + [momentumBuffer].compactMap { $0 })
        let isFirst = momentumBuffer == nil
        // Taken out, so that the buffer has one owner and is changed where it lies; without momentum it stays as it is.
        var buffer: NDArray?
        if settings.momentum != 0 {
            buffer = momentumBuffer ?? NDArray.zeros(parameter.shape, dtype: parameter.dtype)
            momentumBuffer = nil
        }
        defer { if let buffer { momentumBuffer = buffer } }
        let (count, isFloat) = (parameter.count, parameter.dtype == .float32)
        let memory = buffer?.write { $0 }
        parameter.write { p in
            gradient.read { g in
                parallelRange(count, grain: serialElements) { begin, end in
                    if isFloat {
                        ft_sgd_step_f32(
                            Float(settings.learningRate), Float(settings.momentum), Float(settings.dampening),
                            Float(settings.weightDecay), settings.nesterov, isFirst, g.floats + begin,
                            p.floats + begin, memory.map { $0.floats + begin }, end - begin)
                    } else {
                        ft_sgd_step_f64(
                            settings.learningRate, settings.momentum, settings.dampening, settings.weightDecay,
                            settings.nesterov, isFirst, g.doubles + begin, p.doubles + begin,
                            memory.map { $0.doubles + begin }, end - begin)
                    }
                }
            }
        }
    }

    /// One step of Adam in place; arrays are `float32` or `float64` of one shape. `torch.optim.Adam`, `AdamW`.
    ///
    /// m = β₁ m + (1 - β₁) g; v = β₂ v + (1 - β₂) g²;
    /// p -= learningRate / (1 - β₁ᵗ) * m / (sqrt(v / (1 - β₂ᵗ)) + epsilon), t = `step`, counted from 1.
    /// `moments` are m, v and with `amsgrad` the largest v; those that are nil begin as zeros.
    public static func adamStep(
        _ parameter: inout NDArray, gradient: NDArray, moments: inout [NDArray?], step: Int, _ settings: AdamSettings
    ) throws {
        demand(moments.count == (settings.amsgrad ? 3 : 2), "\(moments.count) moments")
        try requireMatching("Adam", parameter, [gradient] + moments.compactMap { $0 })
        // Taken out, so that each has one owner and is changed where it lies.
        var arrays = moments.map { $0 ?? NDArray.zeros(parameter.shape, dtype: parameter.dtype) }
        moments = []
        let memory = arrays.indices.map { arrays[$0].write { $0 } }
        defer { moments = arrays }
        let coefficients = AdamCoefficients(settings, step: step)
        let (count, isFloat) = (parameter.count, parameter.dtype == .float32)
        parameter.write { p in
            gradient.read { g in
                parallelRange(count, grain: serialElements) { begin, end in
                    let c = coefficients
                    if isFloat {
                        ft_adam_step_f32(
                            Float(c.shrink), Float(c.decay), Float(c.new1), Float(c.kept2), Float(c.new2),
                            Float(c.epsilon), Float(c.stepSize), Float(c.rootCorrection), g.floats + begin,
                            p.floats + begin, memory[0].floats + begin, memory[1].floats + begin,
                            c.amsgrad ? memory[2].floats + begin : nil, end - begin)
                    } else {
                        ft_adam_step_f64(
                            c.shrink, c.decay, c.new1, c.kept2, c.new2, c.epsilon, c.stepSize, c.rootCorrection,
                            g.doubles + begin, p.doubles + begin, memory[0].doubles + begin,
                            memory[1].doubles + begin, c.amsgrad ? memory[2].doubles + begin : nil, end - begin)
                    }
                }
            }
        }
    }

    /// The numbers of one step, computed in double precision.
    private struct AdamCoefficients {
        let shrink, decay, new1, kept2, new2, epsilon, stepSize, rootCorrection: Double
        let amsgrad: Bool

        init(_ settings: AdamSettings, step: Int) {
            shrink = settings.isDecoupled ? 1 - settings.learningRate * settings.weightDecay : 1
            decay = settings.isDecoupled ? 0 : settings.weightDecay
            new1 = 1 - settings.beta1
            kept2 = settings.beta2
            new2 = 1 - settings.beta2
            epsilon = settings.epsilon
            stepSize = settings.learningRate / (1 - power(settings.beta1, step))
            rootCorrection = (1 - power(settings.beta2, step)).squareRoot()
            amsgrad = settings.amsgrad
        }
    }

    private static func requireMatching(_ operation: String, _ parameter: NDArray, _ others: [NDArray]) throws {
        try requireFloat(parameter, operation)
        for other in others where other.shape != parameter.shape || other.dtype != parameter.dtype {
            throw ShapeError(
                operation,
                "expected \(parameter.shape) of \(parameter.dtype), got \(other.shape) of \(other.dtype)")
        }
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double {
        var (result, square, rest) = (1.0, base, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result *= square }
            square *= square
            rest >>= 1
        }
        return result
    }
}
