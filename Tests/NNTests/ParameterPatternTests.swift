import NN
import Testing

/// A ResNet's names: some addresses only by the exporter's, with the scope as a second address.
private let index = ParameterIndex(
    entries: [
        .init(["conv1.weight"], count: 9), .init(["onnx::Conv_193", "layer1.0.conv1.weight"], count: 16),
        .init(["onnx::Conv_194", "layer1.0.conv1.bias"], count: 4), .init(["layer1.0.bn1.weight"], count: 4),
        .init(["layer4.0.conv2.weight"], count: 16), .init(["layer4.1.conv2.weight"], count: 16),
        .init(["layer4.10.conv2.weight"], count: 16), .init(["fc.weight"], count: 20), .init(["fc.bias"], count: 2),
        .init(["fc2*.weight"], count: 1),
    ],
    layers: [
        .init(path: "conv1", parameters: [0]), .init(path: "layer1.0.conv1", parameters: [1, 2]),
        .init(path: "fc2*", parameters: [9]), .init(path: "fc", parameters: [7, 8]),
    ])

@Suite struct ParameterPatternTests {
    @Test(arguments: [
        ("fc", [7, 8]), ("fc.bias", [8]), ("layer4", [4, 5, 6]), ("layer4.1", [5]), ("layer4.*.conv2", [4, 5, 6]),
        ("layer4.1*.conv2", [5, 6]), ("layer*.0", [1, 2, 3, 4]), ("**.conv2", [4, 5, 6]),
        ("**.weight", [0, 1, 3, 4, 5, 6, 7, 9]), ("layer1.**.bias", [2]), ("onnx::Conv_193", [1]),
        ("onnx::*", [1, 2]), ("layer1.0.conv1", [1, 2]), ("f*", [7, 8, 9]), ("*.bias", [8]), ("fc2*", [9]),
        ("all", Array(0..<10)), ("head", [7, 8]), ("last:1", [7, 8]), ("last:3", [1, 2, 7, 8, 9]),
    ])
    func selects(pattern: String, expected: [Int]) throws {
        #expect(try index.select([pattern]) == expected)
    }

    @Test func severalPatternsAreAUnion() throws {
        #expect(try index.select(["fc, layer4.1", "fc.bias"]) == [5, 7, 8])
        #expect(try index.select(["head,conv1"]) == [0, 7, 8])
    }

    @Test func aPrefixMeansWholeComponents() {
        #expect(throws: ParameterPatternError.self) { try index.select(["layer"]) }
        #expect(throws: ParameterPatternError.self) { try index.select(["fc.weigh"]) }
        #expect(throws: ParameterPatternError.self) { try index.select(["layer4.*.conv2.weight.x"]) }
    }

    @Test func noMatchNamesTheClosest() throws {
        let error = try #require(throws: ParameterPatternError.self) { try index.select(["fc,layr4.1.conv2"]) }
        #expect(
            error
                == .noMatch(
                    pattern: "layr4.1.conv2", closest: ["layer4.1.conv2", "layer4.0.conv2", "layer4.10.conv2"],
                    scopes: ["conv1", "onnx::Conv_193", "onnx::Conv_194", "layer1", "layer4", "fc", "fc2*"]))
        #expect(
            error.description == """
                no parameter matches 'layr4.1.conv2': did you mean 'layer4.1.conv2' or 'layer4.0.conv2' or \
                'layer4.10.conv2'? `finetune inspect MODEL` lists every name
                """)
        let far = try #require(throws: ParameterPatternError.self) { try index.select(["classifier.6.weight"]) }
        #expect(far.description.contains("the outermost scopes are conv1, onnx::Conv_193"))
    }

    @Test(arguments: [
        ("HEAD", "'head'"), ("Head", "'head'"), ("al", "'all'"), ("lasst:2", "'last:2'"), ("Layer4.1", "'layer4.1'"),
    ])
    func wordsAndOtherCasesAreSuggested(pattern: String, expected: String) throws {
        let error = try #require(throws: ParameterPatternError.self) { try index.select([pattern]) }
        #expect(error.description.contains("did you mean \(expected)"), "\(error)")
    }

    @Test(arguments: ["", "fc,", ".fc", "layer4..conv2", "last:", "last:0", "last:two", "last:-1"])
    func malformedPatternsAreRefused(pattern: String) {
        #expect {
            try index.select([pattern])
        } throws: { error in
            guard case .malformed = error as? ParameterPatternError else { return false }
            return true
        }
    }

    @Test func moreLayersThanThereAre() {
        #expect(throws: ParameterPatternError.tooFewLayers(pattern: "last:5", layers: 4)) {
            try index.select(["last:5"])
        }
        #expect(throws: ParameterPatternError.noParameters) {
            try ParameterIndex().select(["head"])
        }
    }

    @Test func noPatternAtAll() {
        #expect(throws: ParameterPatternError.self) { try index.select([String]()) }
    }
}
