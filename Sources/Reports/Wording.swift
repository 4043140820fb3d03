import Foundation

/// Numbers as people read them.
public enum Wording {
    /// `97.2 %`; `100 %` only for the whole.
    public static func percent(_ fraction: Double) -> String {
        if fraction == 1 { return "100 %" }
        return fraction >= 0.9995 ? "> 99.9 %" : String(format: "%.1f %%", fraction * 100)
    }

    /// `0.33 %`: a difference of fractions.
    public static func points(_ difference: Double) -> String { String(format: "%.2f %%", difference * 100) }

    /// `36 ms`, `8.2 s`, `3 min 20 s`, `2 h 5 min`.
    public static func duration(_ seconds: Double) -> String {
        if seconds < 0.0995 { return String(format: "%.0f ms", seconds * 1000) }
        if seconds < 9.95 { return String(format: "%.1f s", seconds) }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }

    /// `0.6931`; large numbers, which a diverging run has, as powers of ten.
    public static func loss(_ value: Double) -> String { String(format: abs(value) < 1e5 ? "%.4f" : "%.3e", value) }

    /// `11,178,565`.
    public static func grouped(_ number: Int) -> String {
        var digits = String(number.magnitude)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (number < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `1 picture`, `12 pictures`.
    public static func count(_ number: Int, _ noun: String, plural: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
    }
}
