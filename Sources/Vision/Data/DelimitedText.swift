/// Text with quoted fields (RFC 4180) between commas, semicolons or tabs, and spaces around fields left away. Lines end with
/// LF, CR LF or CR.
enum DelimitedText {
    struct Row: Equatable {
        /// Where it starts, from 1.
        var line: Int
        var fields: [String]
    }

    /// The rows with a field that is not empty; `name` is what errors call the text.
    static func parse(_ bytes: [UInt8], name: String) throws(DatasetError) -> [Row] {
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = bytes.starts(with: byteOrderMark) ? bytes[3...] : bytes[...]
        let separator = separator(of: text.prefix { $0 != newline && $0 != carriageReturn })
        var rows: [Row] = []
        var (line, rest) = (1, text)
        while !rest.isEmpty {
            let start = line
            var fields: [String] = []
            var more = true
            while more {
                let field = try takeField(&rest, separator, &line, name)
                fields.append(field.text)
                more = field.more
            }
            if fields.contains(where: { !$0.isEmpty }) { rows.append(Row(line: start, fields: fields)) }
        }
        return rows
    }

    /// A tab if the first line has one, else the first comma or semicolon that stands outside quotes.
    private static func separator(of line: ArraySlice<UInt8>) -> UInt8 {
        if line.contains(tab) { return tab }
        var isQuoted = false
        for byte in line {
            if byte == quote { isQuoted.toggle() }
            if !isQuoted && (byte == comma || byte == semicolon) { return byte }
        }
        return comma
    }

    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let quote = UInt8(ascii: "\"")
    private static let space = UInt8(ascii: " ")
    private static let tab = UInt8(ascii: "\t")
    private static let comma = UInt8(ascii: ",")
    private static let semicolon = UInt8(ascii: ";")

    /// Takes one field and what ends it; `more` is true when another field follows on the row.
    private static func takeField(
        _ rest: inout ArraySlice<UInt8>, _ separator: UInt8, _ line: inout Int, _ name: String
    ) throws(DatasetError) -> (text: String, more: Bool) {
        let start = line
        var field: [UInt8] = []
        while rest.first == space { rest.removeFirst() }
        if rest.first == quote {
            rest.removeFirst()
            while true {
                guard let byte = rest.popFirst() else {
                    throw .badList(name, line: start, why: "a quote is not closed")
                }
                if byte == newline { line += 1 }
                if byte != quote {
                    field.append(byte)
                    continue
                }
                guard rest.first == quote else { break }
                field.append(quote)
                rest.removeFirst()
            }
        }
        let quoted = field.count
        while let byte = rest.first, byte != separator, byte != newline, byte != carriageReturn {
            field.append(byte)
            rest.removeFirst()
        }
        let end = rest.popFirst()
        if end == carriageReturn && rest.first == newline { rest.removeFirst() }
        let more = end == separator
        if !more { line += 1 }
        while field.count > quoted, field.last == space { field.removeLast() }
        guard let text = String(validating: field, as: UTF8.self) else {
            throw .badList(name, line: start, why: "the text is not UTF-8")
        }
        return (text, more)
    }
}
