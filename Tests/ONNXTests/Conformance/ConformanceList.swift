import Foundation
import TestSupport

/// `Tests/conformance.txt`: every case whose operators are all supported, with whether it passes or why it need not.
struct ConformanceList {
    enum Entry: Equatable {
        case pass
        case skip(String)
    }

    static let url = TestFiles.package.appendingPathComponent("Tests/conformance.txt")

    var entries: [String: Entry] = [:]

    init() {}

    init(text: String) throws {
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            if line.hasPrefix("pass ") {
                entries[String(line.dropFirst(5))] = .pass
            } else if line.hasPrefix("skip "), let colon = line.firstRange(of: ": ") {
                let name = line[line.index(line.startIndex, offsetBy: 5)..<colon.lowerBound]
                entries[String(name)] = .skip(String(line[colon.upperBound...]))
            } else {
                throw CocoaError(
                    .fileReadCorruptFile, userInfo: [NSFilePathErrorKey: "\(ConformanceList.url.path): \(line)"])
            }
        }
    }

    static func read() throws -> ConformanceList { try ConformanceList(text: String(contentsOf: url, encoding: .utf8)) }

    var text: String {
        let lines = entries.sorted { $0.key < $1.key }.map { name, entry in
            switch entry {
            case .pass: "pass \(name)"
            case .skip(let reason): "skip \(name): \(reason)"
            }
        }
        return """
            # The cases of onnx 1.22.0 that are made of supported operators. Written by the test `conformance` when
            # FINETUNE_UPDATE_CONFORMANCE=1; the reasons of skipped cases are kept as they are.
            \(lines.joined(separator: "\n"))

            """
    }
}
