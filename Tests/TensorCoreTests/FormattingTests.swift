import Foundation
import TensorCore
import TestSupport
import Testing

struct FormattingTests {
    private struct Case: Decodable {
        let array: StoredArray
        let indent: Int
        let text: String
    }

    @Test func printsAsPyTorch() throws {
        let file = TestFiles.fixtures.appendingPathComponent("arrays/printing.json")
        let goldens = try JSONDecoder().decode(Goldens<Case>.self, from: Data(contentsOf: file))
        #expect(goldens.cases.count > 300)
        for golden in goldens.cases {
            let text = golden.array.array.formatted(indent: golden.indent)
            #expect(text == golden.text, "\(golden.array.dtype) \(golden.array.shape)")
        }
    }
}
