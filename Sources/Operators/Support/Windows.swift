import TensorCore

/// How a convolution or pooling chooses its padding.
public enum AutoPad: String, Sendable, Hashable {
    /// The given pads.
    case notSet = "NOTSET"
    /// As much as makes the output ceil(input / stride) long, the odd element at the end.
    case sameUpper = "SAME_UPPER"
    /// The same, the odd element at the beginning.
    case sameLower = "SAME_LOWER"
    /// None.
    case valid = "VALID"
}

/// The attributes that place windows over the spatial axes of `[N, C, ...]`; nil stands for ONNX's default.
struct WindowAttributes: Sendable, Hashable {
    var kernelShape: [Int]?
    var strides: [Int]?
    /// Padding at the beginning of every axis, then at the end of every axis.
    var pads: [Int]?
    var dilations: [Int]?
    var autoPad = AutoPad.notSet

    /// The attributes with every default filled in.
    struct Resolved {
        var strides: [Int]
        var padsBegin: [Int]
        var padsEnd: [Int]
        var dilations: [Int]
    }

    /// Windows of `kernel` over axes of size `spatial`.
    ///
    /// - Throws: `ShapeError` for lists of another length than the spatial axes, and for sizes that no window can have.
    func resolve(spatial: [Int], kernel: [Int], _ operation: String) throws -> Resolved {
        let rank = spatial.count
        func each(_ values: [Int]?, _ name: String, default fallback: Int, length: Int) throws -> [Int] {
            guard let values else { return [Int](repeating: fallback, count: length) }
            guard values.count == length else {
                throw ShapeError(operation, "attribute '\(name)' needs \(length) numbers, got \(values)")
            }
            // Far beyond any window, and small enough that sums and products of all axes stay within Int.
            guard values.allSatisfy({ $0 >= fallback && $0 <= 1 << 20 }) else {
                throw ShapeError(operation, "attribute '\(name)' is out of range: \(values)")
            }
            return values
        }
        guard kernel.count == rank, kernelShape == nil || kernelShape == kernel else {
            throw ShapeError(
                operation, "kernel \(kernelShape ?? kernel) does not fit weights of kernel \(kernel) over \(spatial)")
        }
        guard spatial.allSatisfy({ $0 >= 0 && $0 <= Int(Int32.max) }) else {
            throw ShapeError(operation, "an axis of \(spatial) is too long")
        }
        // A window may cover a whole picture; the number of its elements stays within 31 bits.
        guard kernel.allSatisfy({ $0 > 0 }), let volume = checkedElementCount(kernel, bytesPerElement: 1),
            volume <= Int(Int32.max)
        else { throw ShapeError(operation, "attribute 'kernel_shape' is out of range: \(kernel)") }
        let strides = try each(strides, "strides", default: 1, length: rank)
        let dilations = try each(dilations, "dilations", default: 1, length: rank)
        var begin = [Int](repeating: 0, count: rank)
        var end = begin
        switch autoPad {
        case .notSet:
            let pads = try each(pads, "pads", default: 0, length: 2 * rank)
            (begin, end) = (Array(pads.prefix(rank)), Array(pads.suffix(rank)))
        case .valid: break
        case .sameUpper, .sameLower:
            for axis in 0..<rank {
                let windows = (spatial[axis] + strides[axis] - 1) / strides[axis]
                let extent = (kernel[axis] - 1) * dilations[axis] + 1
                let total = max(0, (windows - 1) * strides[axis] + extent - spatial[axis])
                (begin[axis], end[axis]) = (total / 2, total - total / 2)
            }
            if autoPad == .sameLower { swap(&begin, &end) }
        }
        return Resolved(strides: strides, padsBegin: begin, padsEnd: end, dilations: dilations)
    }
}

extension WindowAttributes {
    init(_ node: NodeAttributes) throws {
        kernelShape = try node.ints("kernel_shape")
        strides = try node.ints("strides")
        pads = try node.ints("pads")
        dilations = try node.ints("dilations")
        let mode = try node.string("auto_pad", default: AutoPad.notSet.rawValue)
        guard let autoPad = AutoPad(rawValue: mode) else {
            throw node.unsupported("auto_pad", "expected NOTSET, SAME_UPPER, SAME_LOWER or VALID, got '\(mode)'")
        }
        self.autoPad = autoPad
    }
}

/// The attributes of `MaxPool` and `AveragePool`.
struct PoolAttributes: Sendable, Hashable {
    var window: WindowAttributes
    var ceilMode = false
    /// Average only.
    var countIncludePad = false
    /// Max only.
    var storageOrder = 0

    /// The pooling's windows over an input of `shape`, `[N, C, ...]`.
    func geometry(for shape: [Int], _ operation: String) throws -> PoolGeometry {
        guard let kernel = window.kernelShape else {
            throw ShapeError(operation, "attribute 'kernel_shape' is missing")
        }
        guard shape.count == kernel.count + 2 else {
            throw ShapeError(operation, "expected x [N, C, \(kernel.count) spatial axes], got \(shape)")
        }
        let resolved = try window.resolve(spatial: Array(shape.dropFirst(2)), kernel: kernel, operation)
        return PoolGeometry(
            kernelShape: kernel, strides: resolved.strides, padsBegin: resolved.padsBegin, padsEnd: resolved.padsEnd,
            dilations: resolved.dilations, ceilMode: ceilMode, countIncludePad: countIncludePad,
            storageOrder: storageOrder)
    }
}
