import Autograd
import TensorCore

@testable import Operators

/// The functions of the table of special values, under its names; they throw where the public ones stop the program.
enum SpecialFunctions {
    typealias Body = @Sendable ([Tensor]) throws -> Tensor

    static let all = elementwise.merging(powers) { $1 }.merging(binary) { $1 }.merging(rows) { $1 }

    private static let elementwise: [String: Body] = [
        "neg": { -$0[0] }, "abs": { $0[0].abs() }, "sign": { $0[0].sign() }, "exp": { $0[0].exp() },
        "log": { $0[0].log() }, "sqrt": { $0[0].sqrt() }, "rsqrt": { $0[0].rsqrt() },
        "reciprocal": { $0[0].reciprocal() }, "square": { $0[0].square() }, "tanh": { $0[0].tanh() },
        "sigmoid": { $0[0].sigmoid() }, "relu": { $0[0].relu() }, "erf": { $0[0].erf() }, "ceil": { $0[0].ceil() },
        "floor": { $0[0].floor() }, "round": { $0[0].round() }, "softplus": { $0[0].softplus() },
        "sin": { $0[0].sin() }, "cos": { $0[0].cos() }, "silu": { $0[0].silu() }, "mish": { $0[0].mish() },
        "elu": { $0[0].elu() }, "elu(2)": { $0[0].elu(alpha: 2) }, "selu": { $0[0].selu() },
        "celu": { $0[0].celu() }, "celu(2)": { $0[0].celu(alpha: 2) }, "gelu": { $0[0].gelu() },
        "gelu(tanh)": { $0[0].gelu(tanh: true) }, "hardsigmoid": { $0[0].hardsigmoid() },
        "hardswish": { $0[0].hardswish() }, "leakyRelu": { $0[0].leakyRelu() },
        "leakyRelu(-1)": { $0[0].leakyRelu(negativeSlope: -1) }, "softsign": { $0[0].softsign() },
        "relu6": { $0[0].relu6() }, "hardtanh": { $0[0].hardtanh() },
        "clamp(-1,1)": { $0[0].clamp(min: -1, max: 1) }, "clamp(min)": { $0[0].clamp(min: 0.5) },
        "clamp(max)": { $0[0].clamp(max: 0.5) }, "clamp(1,-1)": { $0[0].clamp(min: 1, max: -1) },
        "maximum(0)": { $0[0].maximum(0) }, "maskedFill": { $0[0].maskedFill($0[0].isNaN(), 2) },
        "where": { Tensor.where($0[0] .> 0, $0[0].sqrt(), $0[0] * 2) },
        "nanWhere": { Tensor.where($0[0] .> 0, $0[0].log(), 0) }, "detached": { $0[0] * $0[0].detach() },
        "softmaxAll": { $0[0].softmax(dim: 0) }, "cumsum": { $0[0].cumsum(dim: 0) },
        "triu": { $0[0].narrow(0, 0, 9).reshape(3, 3).triu() },
        "tril": { $0[0].narrow(0, 2, 9).reshape(3, 3).tril(-1) }, "flip": { $0[0].flip(0) },
        "roll": { $0[0].roll(2, dim: 0) }, "to(float64)": { $0[0].double }, "to(float32)": { $0[0].float },
    ]

    private static let powers: [String: Body] = [
        "pow(0)": { $0[0] ** 0 }, "pow(1)": { $0[0] ** 1 }, "pow(2)": { $0[0] ** 2 }, "pow(3)": { $0[0] ** 3 },
        "pow(4)": { $0[0] ** 4 }, "pow(0.5)": { $0[0] ** 0.5 }, "pow(-0.5)": { $0[0] ** -0.5 },
        "pow(-1)": { $0[0] ** -1 }, "pow(-2)": { $0[0] ** -2 }, "pow(2.5)": { $0[0] ** 2.5 },
        "pow(1.5)": { $0[0] ** 1.5 }, "2**x": { 2 ** $0[0] }, "0**x": { 0 ** $0[0] }, "1**x": { 1 ** $0[0] },
        "0.5**x": { 0.5 ** $0[0] }, "1-x": { 1 - $0[0] }, "1/x": { 1 / $0[0] }, "x/0": { $0[0] / 0.0 },
        "x*0": { $0[0] * 0.0 }, "x/inf": { $0[0] / Double.infinity }, "x%1": { $0[0] % 1.0 },
    ]

    private static let binary: [String: Body] = [
        "+": { $0[0] + $0[1] }, "-": { $0[0] - $0[1] }, "*": { $0[0] * $0[1] }, "/": { $0[0] / $0[1] },
        "**": { $0[0] ** $0[1] }, "maximum": { $0[0].maximum($0[1]) }, "minimum": { $0[0].minimum($0[1]) },
        "logaddexp": { $0[0].logaddexp($0[1]) }, "mseLoss(none)": { try mseLoss($0[0], $0[1], reduction: .none) },
        "l1Loss(none)": { try l1Loss($0[0], $0[1], reduction: .none) },
        "smoothL1Loss(none)": { try smoothL1Loss($0[0], $0[1], reduction: .none) },
        "smoothL1Loss(2)": { try smoothL1Loss($0[0], $0[1], beta: 2, reduction: .none) },
        "huberLoss(0.5)": { try huberLoss($0[0], $0[1], delta: 0.5, reduction: .none) },
        "prelu": { $0[0].reshape([1, $0[0].count]).prelu($0[1]) },
        "bceWithLogits": { try binaryCrossEntropyWithLogits($0[0], $0[1], reduction: .none) },
        "bce": { try binaryCrossEntropy($0[0], $0[1], reduction: .none) },
        "klDiv": { try klDivergence($0[0], $0[1], reduction: .none) },
    ]

    /// 1, 2, ... in the type of `x`, which tell the places of a result apart.
    private static func weighted(_ x: Tensor) -> Tensor {
        x * (Tensor.arange(x.count).to(x.dtype) + 1)
    }

    private static func extreme(_ x: Tensor, _ isLargest: Bool, indexed: Bool) throws -> Tensor {
        indexed
            ? try x.extremes(isLargest: isLargest, dim: 0, keepDims: false).values
            : try x.amaxOrAmin(isLargest: isLargest, [0], keepDims: false)
    }

    private static let rows: [String: Body] = [
        "sum": { $0[0].sum() }, "mean": { $0[0].mean() }, "prod": { $0[0].prod() }, "prod(dim)": { $0[0].prod(dim: 0) },
        "norm": { $0[0].norm(dim: [0]) }, "var": { $0[0].var() }, "var(0)": { $0[0].var(correction: 0) },
        "std": { $0[0].std() }, "std(0)": { $0[0].std(correction: 0) },
        "max": { try $0[0].amaxOrAmin(isLargest: true, nil, keepDims: false, findsNaN: true) },
        "min": { try $0[0].amaxOrAmin(isLargest: false, nil, keepDims: false, findsNaN: true) },
        "amax": { try extreme($0[0], true, indexed: false) }, "amin": { try extreme($0[0], false, indexed: false) },
        "max(dim)": { try extreme($0[0], true, indexed: true) },
        "min(dim)": { try extreme($0[0], false, indexed: true) }, "logsumexp": { $0[0].logsumexp(dim: 0) },
        "softmax": { $0[0].softmax(dim: 0) ** 2 }, "logSoftmax": { $0[0].logSoftmax(dim: 0) * 2 },
        "topk": { weighted($0[0].topk(Swift.min(2, $0[0].count)).values) },
        "topk(smallest)": { weighted($0[0].topk(Swift.min(2, $0[0].count), largest: false).values) },
        "sort": { weighted($0[0].sort().values) },
        "sort(descending)": { weighted($0[0].sort(descending: true).values) },
        "cumsum(dim)": { $0[0].cumsum(dim: 0) ** 2 },
        "layerNorm": { x in
            let count = x[0].count
            return x[0].reshape(1, count).layerNorm(weight: .ones([count], dtype: x[0].dtype)) ** 2
        },
        "maxPool": { try maxPool2d($0[0].pad([0, 4 - $0[0].count]).reshape(1, 1, 2, 2), kernelSize: 2) },
        "cosineSimilarity": { $0[0].cosineSimilarity(.onesLike($0[0]), dim: 0) },
        "crossEntropy": { try Operators.crossEntropy($0[0], labels: Tensor(NDArray(scalar: 0 as Int64))) },
        "triplet": { x in
            let row = x[0].reshape(1, x[0].count)
            return try tripletMarginLoss(row, .onesLike(row), .zerosLike(row))
        },
        "normalize": { $0[0].normalize(dim: 0) },
    ]
}
