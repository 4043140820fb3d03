extension StringProtocol {
    /// The text as one line that a terminal and a reader take for what it is: control characters, ends of lines and
    /// characters that turn the direction of writing are spelt out, `\n` or `\u{202E}`. Names of files may hold any of them.
    public var shown: String {
        guard unicodeScalars.contains(where: \.isMisleading) else { return String(self) }
        return unicodeScalars.reduce(into: "") { result, scalar in
            if scalar.isMisleading { result += scalar.spelling } else { result.unicodeScalars.append(scalar) }
        }
    }
}

extension String {
    /// A JSON text with the escapes that JSON itself has for what `shown` spells out.
    public var jsonShown: String {
        guard unicodeScalars.contains(where: \.isMisleading) else { return self }
        return unicodeScalars.reduce(into: "") { result, scalar in
            // What remains of them lies in strings: between values an encoder leaves ends of lines at most.
            if scalar.isMisleading && scalar != "\n" {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
}

extension Unicode.Scalar {
    /// True for what acts on the text around it instead of being seen.
    public var isMisleading: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0: true
        // Marks, embeddings, overrides and isolates of direction; separators of lines and paragraphs.
        case 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// `\n`, `\u{1B}`.
    public var spelling: String {
        switch self {
        case "\n", "\r", "\t": escaped(asASCII: true)
        default: "\\u{\(String(value, radix: 16, uppercase: true))}"
        }
    }
}
