import Foundation
import TensorCore
import TestSupport
import Testing

/// Values where functions change form, from tiny to huge.
private let interesting: [Double] = {
    var values: [Double] = [0, -0.0, .infinity, -.infinity, .nan, 1e-40, -1e-40, 1e-38, 3e38, -3e38]
    for magnitude in [1e-30, 1e-10, 1e-4, 0.01, 0.1, 0.25, 0.5, 0.62, 0.63, 0.7071, 0.9, 0.93, 1, 1.4143, 1.5, 2, 2.5] {
        values += [magnitude, -magnitude]
    }
    for step in 0..<2_000 { values.append(-105 + Double(step) * 0.1051) }
    for step in 0..<1_000 { values.append(-5 + Double(step) * 0.01001) }
    return values
}()

private func reference(_ function: UnaryFunction, _ x: Double) -> Double {
    switch function {
    case .neg: -x
    case .abs: Swift.abs(x)
    case .sign: x > 0 ? 1 : (x < 0 ? -1 : 0)
    case .exp: Foundation.exp(x)
    case .log: Foundation.log(x)
    case .sqrt: x.squareRoot()
    case .rsqrt: 1 / x.squareRoot()
    case .reciprocal: 1 / x
    case .square: x * x
    case .sin: Foundation.sin(x)
    case .cos: Foundation.cos(x)
    case .tanh: Foundation.tanh(x)
    case .sigmoid: 1 / (1 + Foundation.exp(-x))
    case .relu: x < 0 ? 0 : x
    case .erf: Foundation.erf(x)
    case .ceil: x.rounded(.up)
    case .floor: x.rounded(.down)
    case .round: x.rounded(.toNearestOrEven)
    case .softplus: x > 40 ? x : Foundation.log1p(Foundation.exp(x))
    case .tan: Foundation.tan(x)
    case .asin: Foundation.asin(x)
    case .acos: Foundation.acos(x)
    case .atan: Foundation.atan(x)
    case .sinh: Foundation.sinh(x)
    case .cosh: Foundation.cosh(x)
    case .asinh: Foundation.asinh(x)
    case .acosh: Foundation.acosh(x)
    case .atanh: Foundation.atanh(x)
    case .expm1: Foundation.expm1(x)
    case .log1p: Foundation.log1p(x)
    }
}

private func reference(_ function: BinaryFunction, _ x: Double, _ y: Double) -> Double {
    switch function {
    case .add: x + y
    case .sub: x - y
    case .mul: x * y
    case .div: x / y
    case .pow: Foundation.pow(x, y)
    case .max: x.isNaN || y.isNaN ? .nan : Swift.max(x, y)
    case .min: x.isNaN || y.isNaN ? .nan : Swift.min(x, y)
    case .mod: x - y * (x / y).rounded(.down)
    case .fmod: Foundation.fmod(x, y)
    }
}

struct ElementwiseTests {
    @Test(arguments: UnaryFunction.allCases)
    func unaryFloat32(_ function: UnaryFunction) throws {
        let x = NDArray(interesting.map { Float($0) })
        let y = try x.map(function)
        for (input, output) in zip(x.elements(as: Float.self), y.elements(as: Float.self)) {
            let expected = Float(reference(function, Double(input)))
            if expected.isNaN {
                #expect(output.isNaN, "\(function)(\(input)) = \(output), expected NaN")
                continue
            }
            // Two units in the last place, and of the smallest normal number below it.
            let slack = 2.5 * Swift.max(expected.ulp, Float.leastNormalMagnitude.ulp)
            let isClose = output == expected || Swift.abs(output - expected) <= slack
            #expect(isClose, "\(function)(\(input)) = \(output), expected \(expected)")
        }
    }

    @Test(arguments: UnaryFunction.allCases)
    func unaryFloat64(_ function: UnaryFunction) throws {
        let y = try NDArray(interesting).map(function)
        let expected = NDArray(interesting.map { reference(function, $0) })
        #expect(difference(y, expected, rtol: 1e-14, atol: 1e-300) == nil)
    }

    @Test func unarySignsOfZero() throws {
        let zeros = NDArray([Float(-0.0), 0])
        for function in [UnaryFunction.floor, .ceil, .round, .sqrt, .tanh, .erf, .sin] {
            let signs = try zeros.map(function).elements(as: Float.self).map { $0.sign }
            #expect(signs == [.minus, .plus], "\(function)")
        }
        let rounded = try NDArray([Float(0.5), 1.5, 2.5, -0.5, -1.5, 8_388_607.5, 1e30]).map(.round)
        #expect(rounded.elements(as: Float.self) == [0, 2, 2, 0, -2, 8_388_608, 1e30])
    }

    @Test(arguments: [DType.float16, .bfloat16])
    func unaryHalf(_ dtype: DType) throws {
        let x = randomArray([50], dtype)
        let y = try x.map(.exp)
        #expect(y.dtype == dtype)
        let expected = NDArray(x.doubles().map { Foundation.exp($0) }).converted(to: dtype)
        #expect(difference(y, expected, rtol: 1e-2) == nil)
    }

    @Test func unaryIntegers() throws {
        let x = NDArray([Int8.min, -3, 0, 5, 127])
        #expect(try x.map(.neg).elements(as: Int8.self) == [-128, 3, 0, -5, -127])
        #expect(try x.map(.abs).elements(as: Int8.self) == [-128, 3, 0, 5, 127])
        #expect(try x.map(.sign).elements(as: Int8.self) == [-1, -1, 0, 1, 1])
        #expect(try x.map(.square).elements(as: Int8.self) == [0, 9, 0, 25, 1])
        #expect(try x.map(.relu).elements(as: Int8.self) == [0, 0, 0, 5, 127])
        #expect(try NDArray([Int64.min, 7]).map(.neg).elements(as: Int64.self) == [Int64.min, -7])
        #expect(throws: ShapeError("exp", "is not defined for int8")) { try x.map(.exp) }
        #expect(throws: ShapeError.self) { try NDArray([true]).map(.exp) }
        #expect(throws: ShapeError.self) { try NDArray(uninitialized: [0], dtype: .int32).map(.log) }
    }

    /// Long enough for several threads and not a multiple of any vector.
    @Test func unaryLongArrays() throws {
        let x = randomArray([100_003], .float32)
        let expected = NDArray(x.doubles().map { Foundation.tanh($0) }).converted(to: .float32)
        #expect(difference(try x.map(.tanh), expected, rtol: 3e-7) == nil)
    }

    static let broadcasts: [([Int], [Int])] = [
        ([], []), ([3], []), ([], [3]), ([1], [1]), ([2, 3], [2, 3]), ([2, 3], [3]), ([2, 3], [2, 1]), ([2, 1], [3]),
        ([2, 3, 4], [3, 1]), ([4, 1, 5], [1, 3, 1]), ([1, 3, 1, 2], [2, 1, 4, 1]), ([0], [1]), ([2, 0], [1, 1]),
        ([3], [1, 1, 1]), ([2, 1, 3, 1, 2, 1], [1, 2, 1, 3, 1, 2]), ([1, 1, 1], [3]), ([5, 7, 300], [7, 1]),
        ([1, 1], [1]), ([130, 1, 300], [1, 4, 300]), ([70, 600], [600]), ([70, 600], [70, 1]),
    ]

    @Test(arguments: BinaryFunction.allCases, [DType.float32, .float64])
    func binaryBroadcasts(_ function: BinaryFunction, _ dtype: DType) throws {
        for (a, b) in Self.broadcasts {
            var x = randomArray(a, dtype, seed: 3)
            if function == .pow { x = try x.map(.abs) }
            let y = randomArray(b, dtype, seed: 4)
            let shape = try #require(broadcastShape(a, b))
            let (rx, ry) = (Reference(x), Reference(y))
            let expected = Reference(shape) { reference(function, rx.broadcast($0), ry.broadcast($0)) }
            let tolerance = dtype == .float32 ? 1e-5 : 1e-12
            let result = try NDArray.binary(function, x, y)
            let problem = difference(result, expected.array(dtype), rtol: tolerance, atol: tolerance * 0.1)
            #expect(problem == nil, "\(function) \(a) \(b)")
        }
    }

    @Test func binaryMisfits() {
        let (a, b) = (NDArray.zeros([2, 3]), NDArray.zeros([2]))
        #expect(throws: ShapeError("add", "shapes [2, 3] and [2] do not broadcast")) { try NDArray.binary(.add, a, b) }
        #expect(throws: ShapeError("mul", "expected operands of one type, got float32 and int64")) {
            try NDArray.binary(.mul, a, NDArray.zeros([3], dtype: .int64))
        }
        #expect(throws: ShapeError.self) { try NDArray.binary(.sub, NDArray([true]), NDArray([true])) }
        let huge = NDArray.zeros([1 << 30, 1], dtype: .bool).reshaped([1 << 30, 1])
        #expect(throws: ShapeError.self) { try NDArray.compare(.less, huge, huge.reshaped([1, 1 << 30])) }
    }

    @Test func extremesPropagateNaN() throws {
        let (a, b) = (NDArray([Float.nan, 1, 2, -0.0]), NDArray([Float(1), .nan, 3, 0]))
        for function in [BinaryFunction.max, .min] {
            let result = try NDArray.binary(function, a, b).elements(as: Float.self)
            #expect(result[0].isNaN && result[1].isNaN && result[2] == (function == .max ? 3 : 2))
            let scalar = try NDArray.binary(function, a, NDArray(scalar: Float.nan)).elements(as: Float.self)
            #expect(scalar.allSatisfy { $0.isNaN })
        }
    }

    @Test func powSpecialExponents() throws {
        let x = NDArray([Float(-2), 0.5, 3, 0])
        for exponent in [-3.0, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 2.5] {
            let y = try NDArray.binary(.pow, x, NDArray(scalar: exponent, dtype: .float32))
            let expected = NDArray(x.doubles().map { Float(Foundation.pow($0, exponent)) })
            #expect(difference(y, expected, rtol: 1e-6) == nil, "\(exponent)")
        }
    }

    @Test func integerArithmetic() throws {
        func check<T: NumericScalar & FixedWidthInteger>(_ type: T.Type) throws {
            let a: [T] = [7, T.min, T.max, 0, 1, T.max, 100, T.min]
            let b: [T] = [2, T.max, T.max, 0, 0, 2, 7, T.isSigned ? 0 &- 1 : 3]
            func result(_ function: BinaryFunction) throws -> [T] {
                try NDArray.binary(function, NDArray(a), NDArray(b)).elements(as: T.self)
            }
            #expect(try result(.add) == zip(a, b).map { $0 &+ $1 })
            #expect(try result(.sub) == zip(a, b).map { $0 &- $1 })
            #expect(try result(.mul) == zip(a, b).map { $0 &* $1 })
            #expect(
                try result(.div) == zip(a, b).map { $1 == 0 ? 0 : $0.dividedReportingOverflow(by: $1).partialValue })
            let remainders = zip(a, b).map { $1 == 0 ? 0 : $0.remainderReportingOverflow(dividingBy: $1).partialValue }
            #expect(try result(.fmod) == remainders)
            #expect(try result(.max) == zip(a, b).map { Swift.max($0, $1) })
            #expect(try result(.min) == zip(a, b).map { Swift.min($0, $1) })
            let floored = try NDArray.binary(.mod, NDArray([T(7), 8]), NDArray([T(3), 5])).elements(as: T.self)
            #expect(floored == [1, 3])
            let powers = try NDArray.binary(.pow, NDArray([T(2), 3, 0, 5]), NDArray([T(5), 4, 0, 0]))
            #expect(powers.elements(as: T.self) == [32, 81, 1, 1])
        }
        try check(Int8.self)
        try check(Int16.self)
        try check(Int32.self)
        try check(Int64.self)
        try check(UInt8.self)
        try check(UInt16.self)
        try check(UInt32.self)
        try check(UInt64.self)
        let signed = try NDArray.binary(.mod, NDArray([-7, 7, -7]), NDArray([3, -3, -3]))
        #expect(signed.elements(as: Int64.self) == [2, -2, -1])
        let powers = try NDArray.binary(.pow, NDArray([2, 1, -1, -1]), NDArray([-1, -5, -3, -4]))
        #expect(powers.elements(as: Int64.self) == [0, 1, -1, 1])
    }

    @Test func boolArithmetic() throws {
        let (a, b) = (NDArray([true, true, false, false]), NDArray([true, false, true, false]))
        #expect(try NDArray.binary(.add, a, b).elements(as: Bool.self) == [true, true, true, false])
        #expect(try NDArray.binary(.mul, a, b).elements(as: Bool.self) == [true, false, false, false])
        #expect(try NDArray.logical(.and, a, b).elements(as: Bool.self) == [true, false, false, false])
        #expect(try NDArray.logical(.or, a, b).elements(as: Bool.self) == [true, true, true, false])
        #expect(try NDArray.logical(.xor, a, b).elements(as: Bool.self) == [false, true, true, false])
        #expect(try a.logicalNot().elements(as: Bool.self) == [false, false, true, true])
        #expect(throws: ShapeError.self) { try NDArray.logical(.and, a, NDArray([1])) }
    }

    @Test(arguments: Comparison.allCases)
    func comparisons(_ comparison: Comparison) throws {
        func holds(_ x: Double, _ y: Double) -> Bool {
            switch comparison {
            case .equal: x == y
            case .notEqual: x != y
            case .less: x < y
            case .lessOrEqual: x <= y
            case .greater: x > y
            case .greaterOrEqual: x >= y
            }
        }
        let x = Reference([2, 4], [1, 2, .nan, -1, 0, 3, 100, -0.0])
        let y = Reference([4], [1, 1, 1, 0])
        for dtype in DType.allCases where dtype != .bool {
            let (a, b) = (x.array(dtype), y.array(dtype))
            let (ra, rb) = (Reference(a), Reference(b))
            let expected = allIndices([2, 4]).map { holds(ra[$0], rb.broadcast($0)) }
            #expect(try NDArray.compare(comparison, a, b).elements(as: Bool.self) == expected, "\(dtype)")
            let scalar = try NDArray.compare(comparison, a, NDArray(scalar: 1, dtype: dtype))
            #expect(scalar.elements(as: Bool.self) == ra.values.map { holds($0, 1) }, "\(dtype)")
        }
    }

    @Test(arguments: DType.allCases)
    func selects(_ dtype: DType) throws {
        let condition = NDArray([true, false, true], shape: [3, 1])
        let (a, b) = (randomArray([4], dtype, seed: 1, scale: 10), randomArray([2, 3, 4], dtype, seed: 2, scale: 10))
        let (rc, ra, rb) = (Reference(condition), Reference(a), Reference(b))
        let expected = Reference([2, 3, 4]) { rc.broadcast($0) != 0 ? ra.broadcast($0) : rb.broadcast($0) }
        #expect(try NDArray.select(condition, a, b).isBitIdentical(to: expected.array(dtype)))
        #expect(throws: ShapeError.self) { try NDArray.select(NDArray([1]), a, a) }
        #expect(throws: ShapeError.self) { try NDArray.select(condition, a, NDArray.zeros([5], dtype: dtype)) }
    }

    @Test func clamps() throws {
        let x = NDArray([Float.nan, -5, 0.5, 9, .infinity])
        let y = try x.clamped(min: -1, max: 2).elements(as: Float.self)
        #expect(y[0].isNaN && y.dropFirst() == [-1, 0.5, 2, 2])
        #expect(try x.clamped(min: nil, max: 2).elements(as: Float.self).dropFirst() == [-5, 0.5, 2, 2])
        #expect(try NDArray([1, 5, 9]).clamped(min: 2, max: 6).elements(as: Int.self) == [2, 5, 6])
        #expect(try NDArray([1.0, 5]).clamped(min: 4, max: 2).elements(as: Double.self) == [2, 2])
    }

    @Test func casts() {
        let x = NDArray([-1.9, 1.9, .nan, .infinity, -.infinity, 300, 1e20, -1e20, 0, -0.0])
        #expect(x.converted(to: .int8).elements(as: Int8.self) == [-1, 1, 0, 127, -128, 127, 127, -128, 0, 0])
        #expect(x.converted(to: .uint8).elements(as: UInt8.self) == [0, 1, 0, 255, 0, 255, 255, 0, 0, 0])
        let (top, bottom) = (Int64.max, Int64.min)
        let expected = [-1, 1, 0, top, bottom, 300, top, bottom, 0, 0]
        #expect(x.converted(to: .int64).elements(as: Int64.self) == expected)
        #expect(x.converted(to: .float32).converted(to: .int64).elements(as: Int64.self) == expected)
        let truths = x.converted(to: .bool).elements(as: Bool.self)
        #expect(truths == [true, true, true, true, true, true, true, true, false, false])
        #expect(NDArray([300, -1]).converted(to: .uint8).elements(as: UInt8.self) == [44, 255])
        #expect(NDArray([true, false]).converted(to: .float32).elements(as: Float.self) == [1, 0])
        #expect(NDArray([Int64.max]).converted(to: .float64).item() == 0x1p63)
    }

    /// Every pair, which also holds the two lists of element types together: Swift's and the kernels'.
    @Test(arguments: DType.allCases)
    func castsKnowEveryType(_ source: DType) {
        for target in DType.allCases {
            let ones = NDArray.ones([3], dtype: source).converted(to: target)
            #expect(ones.isBitIdentical(to: NDArray.ones([3], dtype: target)), "\(source) \(target)")
        }
    }

    @Test func halfCastsMatchTheScalarTypes() {
        let bits = (0...UInt16.max).map { $0 }
        let halves = NDArray(bits.map { Float16Bits(bitPattern: $0) })
        let wide = halves.converted(to: .float32).elements(as: Float.self)
        for (pattern, value) in zip(bits, wide) {
            let expected = Float16Bits(bitPattern: pattern).floatValue
            #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
        }
        let floats = (0..<200_000).map { Float(bitPattern: UInt32($0) &* 21_474) } + wide
        let narrow = NDArray(floats).converted(to: .float16).elements(as: Float16Bits.self)
        #expect(narrow == floats.map { Float16Bits($0) })
        let brain = NDArray(floats).converted(to: .bfloat16).elements(as: BFloat16.self)
        #expect(brain == floats.map { BFloat16($0) })
    }

    @Test func ranges() throws {
        #expect(try NDArray.arange(0, 5, dtype: .int64).elements(as: Int64.self) == [0, 1, 2, 3, 4])
        #expect(try NDArray.arange(5, 0, step: -2).elements(as: Float.self) == [5, 3, 1])
        #expect(try NDArray.arange(0, 1, step: 0.3, dtype: .float64).count == 4)
        #expect(try NDArray.arange(3, 1).count == 0)
        #expect(throws: ShapeError.self) { try NDArray.arange(0, 1, step: 0) }
        #expect(throws: ShapeError.self) { try NDArray.arange(0, .infinity) }
        #expect(try NDArray.eye(2, 3, offset: 1).elements(as: Float.self) == [0, 1, 0, 0, 0, 1])
    }
}
