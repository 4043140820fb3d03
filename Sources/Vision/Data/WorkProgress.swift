/// How far work has come that a person waits for: finding pictures, reading them, computing ahead.
public enum WorkProgress {
    /// Told what is done, of how many (0 when that is not known), in a few words; also from background threads.
    public typealias Observer = @Sendable (_ work: String, _ done: Int, _ total: Int) -> Void

    private static let current = TaskLocal<Observer?>(wrappedValue: nil)

    /// Who is told in this task; nil for nobody.
    public static var observer: Observer? { current.get() }

    /// Runs `body` with `observer` told of the work in it.
    public static func observed<R>(by observer: Observer?, _ body: () throws -> R) rethrows -> R {
        try current.withValue(observer, operation: body)
    }
}
