import TensorCore

/// A value in one of its layouts.
struct PlanValue: Hashable, Sendable {
    var id: ValueID
    var layout: ImageLayout
}

/// Gives values that are not needed at the same time the same memory.
public struct PlanMemory<Value: Hashable & Sendable>: Sendable {
    /// Byte offsets into the plan's memory.
    public private(set) var offsets: [Value: Int] = [:]
    public private(set) var byteCount = 0
    /// Free ranges, by offset; neighbours are joined.
    private var free: [(offset: Int, size: Int)] = []
    private var sizes: [Value: Int] = [:]

    public init() {}

    /// The smallest free range that fits, or new memory at the end.
    public mutating func allocate(_ value: Value, byteCount size: Int) {
        let size = (size + 63) / 64 * 64
        sizes[value] = size
        let fitting = free.indices.filter { free[$0].size >= size }.min { free[$0].size < free[$1].size }
        if let index = fitting {
            offsets[value] = free[index].offset
            free[index].offset += size
            free[index].size -= size
            if free[index].size == 0 { free.remove(at: index) }
            return
        }
        // A free range at the very end can grow.
        if let last = free.last, last.offset + last.size == byteCount {
            free.removeLast()
            offsets[value] = last.offset
            byteCount = last.offset + size
        } else {
            offsets[value] = byteCount
            byteCount += size
        }
    }

    /// Frees a value's range; its offset stays on record.
    public mutating func release(_ value: Value) {
        guard let offset = offsets[value], let size = sizes.removeValue(forKey: value), size > 0 else { return }
        let index = free.firstIndex { $0.offset > offset } ?? free.endIndex
        free.insert((offset, size), at: index)
        if index + 1 < free.count, offset + size == free[index + 1].offset {
            free[index].size += free[index + 1].size
            free.remove(at: index + 1)
        }
        if index > 0, free[index - 1].offset + free[index - 1].size == offset {
            free[index - 1].size += free[index].size
            free.remove(at: index)
        }
    }

    /// Lets `value` take over the memory of `other`, which is not needed any more.
    public mutating func rename(_ other: Value, to value: Value) {
        offsets[value] = offsets[other]
        sizes[value] = sizes.removeValue(forKey: other)
    }
}
