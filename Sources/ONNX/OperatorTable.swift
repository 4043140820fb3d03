import Operators

/// What models may be made of: the rows of `finetune ops` and of `docs/operators.md`.
public enum OperatorTable {
    /// One operator.
    public struct Row: Sendable, Encodable {
        /// ONNX's name, with its domain where that is not ONNX's own.
        public var name: String
        /// First and last version of ONNX's operator set whose form of the operator is understood.
        public var firstOpset, lastOpset: Int
        /// Whether gradients flow through it.
        public var hasGradient: Bool
        /// Cases of the ONNX project in which it takes part: how many pass, and how many are made of supported operators.
        public var casesPassed, cases: Int
    }

    /// One row per operator, sorted by name.
    public static var rows: [Row] {
        OperatorRegistry.all.map { type in
            let count = ConformanceCounts.byOperator[type.fullName] ?? (0, 0)
            return Row(
                name: type.fullName, firstOpset: type.opsets.lowerBound, lastOpset: type.opsets.upperBound,
                hasGradient: type.isDifferentiable, casesPassed: count.passed, cases: count.all)
        }.sorted { $0.name < $1.name }
    }

    /// The content of `docs/operators.md`.
    public static var markdown: String {
        let rows = self.rows
        let lines = rows.map { row in
            "| \(row.name) | \(row.firstOpset) to \(row.lastOpset) | \(row.hasGradient ? "yes" : "no") | "
                + "\(row.casesPassed) of \(row.cases) |"
        }
        return """
            # Operators

            Written by `finetune ops --markdown`. \(rows.count) operators of ONNX's default domain and of `com.microsoft`, \
            \(rows.count(where: \.hasGradient)) of them with a gradient. The last column counts the ONNX project's own test cases \
            (onnx 1.22.0) that the operator takes part in; [Tests/conformance.txt](../Tests/conformance.txt) lists them, with a \
            reason for each that does not pass.

            | operator | operator sets | gradient | cases passed |
            |---|---|---|---|
            \(lines.joined(separator: "\n"))

            """
    }
}
