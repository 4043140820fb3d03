import Autograd

/// Which parameters a call to `freeze` or `unfreeze` was about.
public struct FreezingReport: Sendable, Equatable, CustomStringConvertible {
    /// Paths of the parameters that the patterns matched.
    public var names: [String]
    /// How many numbers they hold.
    public var elements: Int
    /// Parameters in the whole model.
    public var totalTensors: Int
    /// Numbers in the whole model.
    public var totalElements: Int

    public init(names: [String], elements: Int, totalTensors: Int, totalElements: Int) {
        self.names = names
        self.elements = elements
        self.totalTensors = totalTensors
        self.totalElements = totalElements
    }

    /// How many parameters the patterns matched.
    public var tensors: Int { names.count }

    /// `2 of 62 tensors, 2,565 of 11,178,565 numbers`.
    public var description: String {
        "\(tensors) of \(totalTensors) tensors, \(grouped(elements)) of \(grouped(totalElements)) numbers"
    }
}

extension Module {
    /// Stops gradients of every parameter: `requiresGrad` false. Buffers and the mode stay as they are.
    ///
    /// Batch norm in training mode still moves its running statistics; see `BatchNorm2d.frozenStatistics`.
    @discardableResult
    public final func freeze(matching patterns: [String] = ["all"]) throws -> FreezingReport {
        // A model without parameters is frozen.
        if patterns == ["all"] && parameterIndex.entries.isEmpty {
            return FreezingReport(names: [], elements: 0, totalTensors: 0, totalElements: 0)
        }
        return try setRequiresGrad(false, matching: patterns)
    }

    /// Asks for gradients of the parameters that `patterns` match, and of no others: `["fc"]`, `["layer4.*.conv2", "head"]`.
    ///
    /// Patterns are those of `ParameterPattern`. Throws `ParameterPatternError` when one matches nothing; then no flag is
    /// changed.
    @discardableResult
    public final func unfreeze(matching patterns: [String] = ["all"]) throws -> FreezingReport {
        try setRequiresGrad(true, matching: patterns)
    }

    /// What `freeze` or `unfreeze` would be about; no flag is changed. Throws as they do.
    public final func report(matching patterns: [String]) throws -> FreezingReport {
        let index = parameterIndex
        let matched = try index.select(patterns)
        let named = namedParameters()
        return FreezingReport(
            names: matched.map { index.entries[$0].name }, elements: matched.reduce(0) { $0 + index.entries[$1].count },
            totalTensors: named.count, totalElements: named.reduce(0) { $0 + $1.parameter.count })
    }

    private func setRequiresGrad(_ value: Bool, matching patterns: [String]) throws -> FreezingReport {
        let report = try report(matching: patterns)
        let matched = Set(report.names)
        for (name, parameter) in namedParameters() where matched.contains(name) { try parameter.requiresGrad_(value) }
        return report
    }
}

/// `11,178,565`.
func grouped(_ number: Int) -> String {
    var digits = String(number.magnitude)
    var groups: [String] = []
    while digits.count > 3 {
        groups.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
    }
    return (number < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
}
