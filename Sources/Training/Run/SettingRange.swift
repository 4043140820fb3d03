/// What numbers may be: far beyond any use, and so small that arithmetic on them cannot overflow.
public enum SettingRange {
    public static let epochs = 1...1_000_000
    /// Pictures at a time.
    public static let batchSize = 1...65_536
    /// A side of a picture.
    public static let pixels = 1...16_384
    /// 0 stands for one per CPU.
    public static let threads = 0...1_024
    /// Repetitions of a measurement or a test.
    public static let steps = 1...1_000_000
    /// 2^20 bytes each.
    public static let megabytes = 0...1_000_000_000

    /// Throws `SettingError` for a `value` of `option` outside of `range`; nil is none.
    public static func check(_ value: Int?, _ range: ClosedRange<Int>, _ option: String) throws {
        guard let value, !range.contains(value) else { return }
        throw SettingError(option, "expected \(range.lowerBound) to \(range.upperBound), got \(value)")
    }
}
