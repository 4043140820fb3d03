/// Comma- or tab-separated text with quoted fields (RFC 4180), and spaces around fields left away.
enum DelimitedText {
    struct Row: Equatable {
        /// Where it starts, from 1.
        var line: Int
        var fields: [String]
    }

    /// The rows that are not blank; `name` is what errors call the text.
    static func parse(_ bytes: [UInt8], name: String) throws(DatasetError) -> [Row] {
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = bytes.starts(with: byteOrderMark) ? bytes[3...] : bytes[...]
        let separator = text.prefix { $0 != newline }.contains(tab) ? tab : comma
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
            if fields != [""] { rows.append(Row(line: start, fields: fields)) }
        }
        return rows
    }

    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let quote = UInt8(ascii: "\"")
    private static let space = UInt8(ascii: " ")
    private static let tab = UInt8(ascii: "\t")
    private static let comma = UInt8(ascii: ",")

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
        while let byte = rest.first, byte != separator, byte != newline {
            field.append(byte)
            rest.removeFirst()
        }
        let more = rest.first == separator
        if !rest.isEmpty { rest.removeFirst() }
        if !more {
            line += 1
            if field.last == carriageReturn { field.removeLast() }
        }
        while field.count > quoted, field.last == space { field.removeLast() }
        guard let text = String(validating: field, as: UTF8.self) else {
            throw .badList(name, line: start, why: "the text is not UTF-8")
        }
        return (text, more)
    }
}
