import TensorCore

extension Tensor: CustomStringConvertible {
    /// PyTorch's form: `tensor([[3., 4.],\n        [7., 5.]], requires_grad=True)`, below a line that names the role.
    public final var description: String {
        var suffixes: [String] = []
        if dtype != .float32 && dtype != .int64 && dtype != .bool { suffixes.append("dtype=\(dtype)") }
        if let gradFn {
            suffixes.append("grad_fn=\(gradFn)")
        } else if requiresGrad {
            suffixes.append("requires_grad=True")
        }
        let prefix = "tensor("
        var text = (role.map { "\($0) containing:\n" } ?? "") + prefix + array.formatted(indent: prefix.count)
        var column = text.split(separator: "\n", omittingEmptySubsequences: false).last?.count ?? 0
        for (index, suffix) in suffixes.enumerated() {
            // PyTorch breaks before a suffix that would pass column 80; the last one is followed by the bracket.
            let width = suffix.count + (index == suffixes.count - 1 ? 1 : 0)
            if column + 2 + width > 80 {
                text += ",\n" + String(repeating: " ", count: prefix.count) + suffix
                column = prefix.count + suffix.count
            } else {
                text += ", " + suffix
                column += 2 + suffix.count
            }
        }
        return text + ")"
    }
}
