import COnnx

/// Memory for protobuf-c's messages: handed out from chunks, released all at once, refused beyond a budget.
///
/// protobuf-c takes a refusal as failure and returns nil. `isExhausted` tells such a failure from malformed input.
final class Arena {
    private let budget: Int
    private var chunks: [UnsafeMutableRawPointer] = []
    private var next: UnsafeMutableRawPointer?
    private var remaining = 0
    private(set) var byteCount = 0
    private(set) var isExhausted = false

    private static let chunkSize = 1 << 18
    private static let alignment = 16

    init(budget: Int) { self.budget = budget }

    deinit { for chunk in chunks { chunk.deallocate() } }

    func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size >= 0, size <= budget else {
            isExhausted = true
            return nil
        }
        let rounded = (max(size, 1) + Arena.alignment - 1) / Arena.alignment * Arena.alignment
        if rounded > remaining {
            let chunk = max(rounded, Arena.chunkSize)
            // The first chunk is free, so that tiny budgets still read tiny models.
            guard chunks.isEmpty || byteCount + chunk <= budget else {
                isExhausted = true
                return nil
            }
            let memory = UnsafeMutableRawPointer.allocate(byteCount: chunk, alignment: Arena.alignment)
            chunks.append(memory)
            byteCount += chunk
            next = memory
            remaining = chunk
        }
        let result = next
        next = next?.advanced(by: rounded)
        remaining -= rounded
        return result
    }

    /// Calls `body` with an allocator that draws on this arena; valid during the call.
    func withAllocator<R>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) throws -> R) rethrows -> R {
        var allocator = ProtobufCAllocator(
            alloc: { context, size in
                context.flatMap { Unmanaged<Arena>.fromOpaque($0).takeUnretainedValue().allocate(size) }
            },
            free: { _, _ in },
            allocator_data: Unmanaged.passUnretained(self).toOpaque())
        return try withExtendedLifetime(self) { try body(&allocator) }
    }
}
