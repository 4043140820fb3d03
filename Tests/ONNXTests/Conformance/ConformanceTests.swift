import Foundation
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// The ONNX project's own cases. `scripts/fetch-conformance` fetches them.
@Suite struct ConformanceTests {
    private static let updates = ProcessInfo.processInfo.environment["FINETUNE_UPDATE_CONFORMANCE"] == "1"

    /// Every case whose operators are all supported is listed, and passes or has its reason.
    @Test(.enabled(if: TestFiles.onnxCases != nil)) func conformance() throws {
        let cases = ConformanceCase.all(below: try #require(TestFiles.onnxCases))
        #expect(cases.count > 1_800)
        var results: [String: ConformanceCase.Result] = [:]
        for test in cases {
            if ConformanceTests.updates { FileHandle.standardError.write(Data("\(test.name)\n".utf8)) }
            let result = test.run()
            if result.outcome != .unsupported { results[test.name] = result }
        }
        let old = (try? ConformanceList.read()) ?? ConformanceList()
        let list = ConformanceTests.updates ? ConformanceTests.updated(old, results) : old
        if ConformanceTests.updates { try ConformanceTests.write(list, results) }
        ConformanceTests.check(list, results)
        ConformanceTests.checkShares(list, results)
        #expect(
            try String(contentsOf: ConformanceTests.countsFile, encoding: .utf8)
                == ConformanceTests.countsSource(list, results), "Sources/ONNX/ConformanceCounts.swift is stale")
    }

    private static func check(_ list: ConformanceList, _ results: [String: ConformanceCase.Result]) {
        for (name, result) in results.sorted(by: { $0.key < $1.key }) {
            switch (list.entries[name], result.outcome) {
            case (nil, _): Issue.record("\(name) is in Tests/conformance.txt neither as passing nor as skipped")
            case (.pass, .failed(let reason)): Issue.record("\(name): \(reason)")
            case (.skip, .passed): Issue.record("\(name) is listed as skipped but passes")
            default: break
            }
        }
        for name in list.entries.keys.sorted() where results[name] == nil {
            Issue.record("\(name) is listed, but there is no such case of supported operators")
        }
    }

    /// Of the cases with float32, float64, integers and booleans 97 % pass; of the real networks as many as stated.
    private static func checkShares(_ list: ConformanceList, _ results: [String: ConformanceCase.Result]) {
        func passed(_ group: String = "") -> Int {
            list.entries.count { $0.key.hasPrefix(group) && $0.value == .pass }
        }
        let ordinary = results.filter { $0.value.foreignTypes.isEmpty }
        let good = ordinary.keys.count { list.entries[$0] == .pass }
        print(
            "conformance: \(passed()) of \(list.entries.count) cases of supported operators pass;",
            "\(good) of \(ordinary.count) with float32, float64, integers and bool")
        #expect(good * 100 >= ordinary.count * 97)
        #expect(passed("pytorch-converted/") >= 79)
        #expect(passed("pytorch-operator/") >= 30)
        #expect(passed("light/") >= 9)
    }

    // MARK: - Updating

    private static func updated(
        _ old: ConformanceList, _ results: [String: ConformanceCase.Result]
    ) -> ConformanceList {
        var list = ConformanceList()
        for (name, result) in results {
            switch (result.outcome, old.entries[name]) {
            case (.failed(let reason), let entry):
                if case .skip(let known)? = entry {
                    list.entries[name] = .skip(known)
                } else if let type = result.foreignTypes.first {
                    list.entries[name] = .skip("\(type) values are not computed with")
                } else {
                    list.entries[name] = .skip(reason)
                }
            default: list.entries[name] = .pass
            }
        }
        return list
    }

    private static func write(_ list: ConformanceList, _ results: [String: ConformanceCase.Result]) throws {
        try list.text.write(to: ConformanceList.url, atomically: true, encoding: .utf8)
        try countsSource(list, results).write(to: countsFile, atomically: true, encoding: .utf8)
    }

    private static let countsFile = TestFiles.package.appendingPathComponent("Sources/ONNX/ConformanceCounts.swift")

    /// The Swift file that tells the program how many cases each operator takes part in.
    private static func countsSource(_ list: ConformanceList, _ results: [String: ConformanceCase.Result]) -> String {
        var counts: [String: (passed: Int, all: Int)] = [:]
        for (name, result) in results {
            for type in result.operators {
                counts[type, default: (0, 0)].all += 1
                if list.entries[name] == .pass { counts[type, default: (0, 0)].passed += 1 }
            }
        }
        let lines = counts.sorted { $0.key < $1.key }.map {
            #"        "\#($0.key)": (\#($0.value.passed), \#($0.value.all)),"#
        }
        return """
            // Generated by the test `conformance` with FINETUNE_UPDATE_CONFORMANCE=1; do not edit.

            /// Cases of onnx 1.22.0, by operator.
            enum ConformanceCounts {
                /// How many of the cases that an operator takes part in pass, and how many there are.
                static let byOperator: [String: (passed: Int, all: Int)] = [
            \(lines.joined(separator: "\n"))
                ]
            }

            """
    }
}
