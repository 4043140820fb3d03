import CKernels
import Synchronization

/// The thread pool that every kernel runs on.
public enum Parallel {
    /// Threads that kernels use, the calling one included; one per CPU the process may run on unless set.
    public static var threadCount: Int { Int(ft_get_num_threads()) }

    /// Sets `threadCount`; values below 1 restore the default. Results of some kernels depend on it in the last bits.
    public static func setThreadCount(_ count: Int) { ft_set_num_threads(Int32(clamping: count)) }

    /// Runs `body(0)` ... `body(count - 1)` on the pool and returns when all are done.
    ///
    /// Calls from inside `body`, and calls while another thread uses the pool, run inline.
    public static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { context in
                ft_parallel_for(
                    count,
                    { context, task, _ in
                        context?.assumingMemoryBound(to: (@Sendable (Int) -> Void).self).pointee(task)
                    }, UnsafeMutableRawPointer(mutating: context))
            }
        }
    }

    /// `body(0)` ... `body(count - 1)`, computed on the pool, in order.
    public static func map<R: Sendable>(_ count: Int, _ body: @Sendable (Int) -> R) -> [R] {
        let results = Mutex([R?](repeating: nil, count: count))
        forEach(count) { index in
            let result = body(index)
            results.withLock { $0[index] = result }
        }
        return results.withLock { $0.compactMap(\.self) }
    }
}

/// Which kernels this process runs.
public enum Kernels {
    /// For example `avx512 kernels, OpenBLAS 0.3.21 SkylakeX, 2 threads`.
    public static var summary: String {
        var text = [CChar](repeating: 0, count: 256)
        ft_cpu_description(&text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Why OpenBLAS is not in use, or nil when it is. Matrix products are slow without it, not wrong.
    public static var blasError: String? { ft_blas_error().map { String(cString: $0) } }
}
