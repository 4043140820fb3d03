import Foundation

/// How numbers on an axis are spaced and written.
public enum AxisKind: Sendable {
    /// Round numbers around the values.
    case number
    /// Fractions of one as percentages, never beyond 0 and 100.
    case percent
    /// Whole numbers, from the first value to the last.
    case count
    /// Powers of ten between positive values.
    case logarithmic
}

/// A scale with round numbers on it.
struct Axis {
    let low: Double
    let high: Double
    let ticks: [Double]
    let kind: AxisKind
    private let decimals: Int

    /// - Parameter values: what must lie on the axis; those that are not finite, or not positive on a logarithmic axis,
    ///   are passed over.
    init(_ kind: AxisKind, covering values: [Double]) {
        self.kind = kind
        let usable = values.filter { $0.isFinite && (kind != .logarithmic || $0 > 0) }
        let least = usable.min() ?? (kind == .logarithmic ? 0.1 : 0)
        let most = usable.max() ?? 1
        switch kind {
        case .logarithmic:
            let first = log10(least).rounded(.down)
            let last = max(log10(most).rounded(.up), first + 1)
            let step = max(1, ((last - first) / 6).rounded(.up))
            (low, high) = (pow(10, first), pow(10, last))
            ticks = stride(from: first, through: last, by: step).map { pow(10, $0) }
            decimals = 0
        case .count:
            let step = max(1, Axis.roundStep((most - least) / 5).rounded(.up))
            let margin = most > least ? 0 : 1.0
            (low, high) = (least - margin, most + margin)
            let inner = stride(from: (least / step).rounded(.up) * step, through: most, by: step)
            ticks = [least] + inner.filter { $0 - least > step / 2 }
            decimals = 0
        case .number, .percent:
            let spread = most > least ? most - least : max(abs(most), 1e-3) * 0.2
            let step = Axis.roundStep(spread / 5)
            // A value that is a tick but for rounding needs no further one.
            var bottom = (least / step + 1e-6).rounded(.down) * step
            var top = (most / step - 1e-6).rounded(.up) * step
            if bottom == top { (bottom, top) = (bottom - step, top + step) }
            if kind == .percent { (bottom, top) = (max(bottom, 0), min(top, 1)) }
            (low, high) = (bottom, top)
            ticks = stride(from: bottom, through: top + step / 1000, by: step).map { $0 }
            decimals = max(0, -Int((log10(step) + (kind == .percent ? 2 : 0) + 1e-9).rounded(.down)))
        }
    }

    /// 1, 2 or 5 times a power of ten, at least `rough`.
    private static func roundStep(_ rough: Double) -> Double {
        guard rough > 0, rough.isFinite else { return 1 }
        let power = pow(10, log10(rough).rounded(.down))
        let multiple = rough / power
        let fitting = [1.0, 2, 5].first { multiple <= $0 + 1e-9 }
        return power * (fitting ?? 10)
    }

    /// Where `value` lies between the ends, 0 to 1; nil for a value that is not finite or has no place.
    func fraction(_ value: Double) -> Double? {
        guard value.isFinite else { return nil }
        guard kind == .logarithmic else { return high > low ? (value - low) / (high - low) : 0.5 }
        return value > 0 ? log10(value / low) / log10(high / low) : nil
    }

    /// What a tick says.
    func label(_ tick: Double) -> String {
        switch kind {
        case .number: String(format: max(abs(low), abs(high)) < 1e6 ? "%.\(decimals)f" : "%.3g", tick)
        case .percent: String(format: "%.\(decimals)f %%", tick * 100)
        case .count: String(format: "%.0f", tick)
        case .logarithmic: tick >= 1e-3 && tick < 1e5 ? shortest(tick) : String(format: "1e%.0f", log10(tick))
        }
    }

    private func shortest(_ tick: Double) -> String {
        tick >= 1 ? String(format: "%.0f", tick) : String(format: "%.\(Int((-log10(tick)).rounded()))f", tick)
    }
}
