extension Module {
    /// Throws `ModuleError.invalidArgument` unless `condition`.
    func require(_ condition: Bool, _ argument: String, _ reason: String) throws {
        guard condition else {
            throw ModuleError.invalidArgument(module: typeName, argument: argument, reason: reason)
        }
    }

    /// `True`, as PyTorch prints it.
    func python(_ value: Bool) -> String { value ? "True" : "False" }

    /// `(3, 3)`, `(8,)`.
    func tuple(_ values: [Int]) -> String {
        "(" + values.map(String.init).joined(separator: ", ") + (values.count == 1 ? ",)" : ")")
    }

    /// `1e-05`, `0.1`: two digits of exponent at least.
    func number(_ value: Double) -> String {
        let text = "\(value)"
        guard let e = text.firstIndex(of: "e") else { return text }
        let exponent = text[text.index(after: e)...]
        let sign = exponent.first == "-" ? "-" : "+"
        let digits = exponent.drop { $0 == "-" || $0 == "+" }
        let mantissa = text[..<e].hasSuffix(".0") ? text[..<e].dropLast(2) : text[..<e]
        return "\(mantissa)e\(sign)\(digits.count < 2 ? "0" : "")\(digits)"
    }
}
