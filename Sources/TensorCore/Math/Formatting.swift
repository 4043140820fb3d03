#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension NDArray {
    /// The elements as PyTorch prints them with its default options: what stands inside `tensor(...)`.
    ///
    /// Four digits after the point, all elements of one width, scientific notation when the magnitudes ask for it, no
    /// digits after the point when all are whole; above 1,000 elements only the first and last three of each axis; lines
    /// of at most 80 columns of which `indent` precede the text. An empty array is `[]`.
    public func formatted(indent: Int = 0) -> String {
        if count == 0 { return "[]" }
        return ArrayPrinter(self).text(axis: 0, offset: 0, indent: indent)
    }
}

/// Lays out the elements of one array.
private struct ArrayPrinter {
    private static let lineWidth = 80
    private static let summaryThreshold = 1_000
    private static let edgeItems = 3

    private let array: NDArray
    private let strides: [Int]
    private let isSummarized: Bool
    private var format = ElementFormat()

    init(_ array: NDArray) {
        self.array = array
        strides = contiguousStrides(array.shape)
        isSummarized = array.count > ArrayPrinter.summaryThreshold
        var offsets: [Int] = []
        collectVisible(axis: 0, offset: 0, into: &offsets)
        format = ElementFormat(array, offsets)
    }

    /// Positions along an axis that are shown; nil stands for the dots.
    private func positions(_ axis: Int) -> [Int?] {
        let size = array.shape[axis]
        let edge = ArrayPrinter.edgeItems
        guard isSummarized && size > 2 * edge else { return Array(0..<size) }
        return Array(0..<edge) + [nil] + Array(size - edge..<size)
    }

    private func collectVisible(axis: Int, offset: Int, into offsets: inout [Int]) {
        if axis == array.rank {
            offsets.append(offset)
            return
        }
        for position in positions(axis) {
            if let position {
                collectVisible(axis: axis + 1, offset: offset + position * strides[axis], into: &offsets)
            }
        }
    }

    func text(axis: Int, offset: Int, indent: Int) -> String {
        let remaining = array.rank - axis
        if remaining == 0 { return format.text(array.element(offset)) }
        let margin = String(repeating: " ", count: indent + 1)
        if remaining > 1 {
            let slices = positions(axis).map { position in
                position.map { text(axis: axis + 1, offset: offset + $0 * strides[axis], indent: indent + 1) } ?? "..."
            }
            let separator = "," + String(repeating: "\n", count: remaining - 1) + margin
            return "[" + slices.joined(separator: separator) + "]"
        }
        let items = positions(axis).map { position in
            position.map { format.text(array.element(offset + $0)) } ?? " ..."
        }
        let perLine = Swift.max(1, (ArrayPrinter.lineWidth - indent) / (format.width + 2))
        let lines = stride(from: 0, to: items.count, by: perLine).map {
            items[$0..<Swift.min($0 + perLine, items.count)].joined(separator: ", ")
        }
        return "[" + lines.joined(separator: ",\n" + margin) + "]"
    }
}

/// One element, ready to be written.
private enum Element {
    case real(Double)
    case other(String)
}

/// How the elements of an array are written: their common width and notation.
private struct ElementFormat {
    private(set) var width = 1
    private var isWhole = true
    private var isScientific = false

    init() {}

    init(_ array: NDArray, _ offsets: [Int]) {
        var reals: [Double] = []
        for offset in offsets {
            switch array.element(offset) {
            case .other(let text): width = Swift.max(width, text.count)
            case .real(let value): if value.isFinite && value != 0 { reals.append(value) }
            }
        }
        let magnitudes = reals.map(abs)
        guard let smallest = magnitudes.min(), let largest = magnitudes.max() else { return }
        isWhole = reals.allSatisfy { $0 == $0.rounded(.up) }
        isScientific = largest / smallest > 1_000 || largest > 1e8 || smallest < 1e-4
        // Only these count: a zero is never wider, and what is not finite may stand out.
        width = reals.reduce(width) { Swift.max($0, written($1).count) }
    }

    /// Padded on the left to `width`.
    func text(_ element: Element) -> String {
        let text =
            switch element {
            case .real(let value): written(value)
            case .other(let text): text
            }
        return String(repeating: " ", count: Swift.max(0, width - text.count)) + text
    }

    private func written(_ value: Double) -> String {
        if isScientific { return printed("%.4e", value) }
        if isWhole { return printed("%.0f", value) + (value.isFinite ? "." : "") }
        return printed("%.4f", value)
    }

    private func printed(_ format: String, _ value: Double) -> String {
        if value.isNaN { return "nan" }
        // The widest finite number has 309 digits before the point.
        return String(unsafeUninitializedCapacity: 384) { buffer in
            buffer.withMemoryRebound(to: CChar.self) { buffer in
                let length = withVaList([value]) { vsnprintf(buffer.baseAddress, buffer.count, format, $0) }
                return Swift.max(0, Int(length))
            }
        }
    }
}

extension NDArray {
    fileprivate func element(_ offset: Int) -> Element {
        func at<T: Scalar>(_ type: T.Type) -> T { withElements(as: type) { $0[offset] } }
        switch dtype {
        case .float32: return .real(Double(at(Float.self)))
        case .float64: return .real(at(Double.self))
        case .float16: return .real(Double(at(Float16Bits.self).floatValue))
        case .bfloat16: return .real(Double(at(BFloat16.self).floatValue))
        case .int8: return .other("\(at(Int8.self))")
        case .int16: return .other("\(at(Int16.self))")
        case .int32: return .other("\(at(Int32.self))")
        case .int64: return .other("\(at(Int64.self))")
        case .uint8: return .other("\(at(UInt8.self))")
        case .uint16: return .other("\(at(UInt16.self))")
        case .uint32: return .other("\(at(UInt32.self))")
        case .uint64: return .other("\(at(UInt64.self))")
        case .bool: return .other(at(Bool.self) ? "True" : "False")
        }
    }
}
