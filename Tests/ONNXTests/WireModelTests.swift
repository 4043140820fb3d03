import TensorCore
import Testing

@testable import ONNX

@Suite struct WireModelTests {
    @Test func everyPartIsRead() throws {
        let message = Message {
            $0.int(1, 9)
            $0.text(2, "maker")
            $0.text(3, "1.2")
            $0.text(4, "org.example")
            $0.int(5, 7)
            $0.text(6, "about")
            $0.message(8) { $0.int(2, 17) }
            $0.message(8) {
                $0.text(1, "local")
                $0.int(2, 1)
            }
            $0.message(14) {
                $0.text(1, "key")
                $0.text(2, "value")
            }
            $0.message(25) { function in
                function.text(1, "Twice")
                function.text(4, "x")
                function.text(5, "y")
                function.text(6, "alpha")
                function.message(7) { node in
                    node.text(1, "x")
                    node.text(1, "x")
                    node.text(2, "y")
                    node.text(4, "Add")
                    node.message(5) {
                        $0.text(1, "a")
                        $0.text(21, "alpha")
                        $0.int(20, 1)
                    }
                }
                function.message(9) { $0.int(2, 17) }
                function.text(10, "local")
            }
            $0.message(7) { graph in
                graph.text(2, "main")
                graph.node("Twice", ["in", ""], ["out"]) { node in
                    node.text(3, "n0")
                    node.text(6, "doc")
                    node.text(7, "local")
                    node.message(9) {
                        $0.text(1, "scope")
                        $0.text(2, "layer1")
                    }
                }
                graph.valueInfo(11, "in", [1, 3])
                graph.message(12) { info in
                    info.text(1, "out")
                    info.message(2) { type in
                        type.message(1) { tensor in
                            tensor.int(1, 1)
                            tensor.message(2) { shape in
                                shape.message(1) { $0.text(2, "batch") }
                                shape.message(1) { _ in }
                                shape.message(1) { $0.int(1, 5) }
                            }
                        }
                    }
                }
            }
        }
        let model = try ModelFile.read(message).model
        #expect(model.irVersion == 9)
        #expect(
            [model.producerName, model.producerVersion, model.domain, model.docString] == [
                "maker", "1.2", "org.example", "about",
            ])
        #expect(model.modelVersion == 7)
        #expect(model.opsetVersion() == 17)
        #expect(model.opsetVersion(domain: "ai.onnx") == 17)
        #expect(model.opsetVersion(domain: "local") == 1)
        #expect(model.opsetVersion(domain: "other") == nil)
        #expect(model.metadataProps == [StringStringEntryProto(key: "key", value: "value")])
        let node = model.graph.nodes[0]
        #expect(node.label == "Twice 'n0'")
        #expect(node.inputs == ["in", ""])
        #expect(node.metadataProps["scope"] == "layer1")
        #expect(model.graph.inputs[0].dimensions == [.value(1), .value(3)])
        #expect(model.graph.outputs[0].dimensions == [.parameter("batch"), .unknown, .value(5)])
        let function = model.functions[0]
        #expect(function.inputs == ["x"] && function.attributeNames == ["alpha"])
        guard case .reference("alpha") = function.nodes[0].attribute("a")?.value else {
            Issue.record("no reference attribute")
            return
        }
    }

    @Test func attributesOfEveryType() throws {
        let model = try ModelFile.read(
            .model { graph in
                graph.node("Relu", ["x"], ["y"]) { node in
                    func attribute(_ name: String, _ type: Int64?, _ build: (inout Message) -> Void) {
                        node.message(5) {
                            $0.text(1, name)
                            build(&$0)
                            if let type { $0.int(20, type) }
                        }
                    }
                    attribute("f", 1) { $0.float(2, 0.5) }
                    attribute("i", 2) { $0.int(3, -4) }
                    attribute("s", 3) { $0.text(4, "SAME_UPPER") }
                    attribute("t", 4) {
                        $0.message(5) {
                            $0.int(2, 7)
                            $0.packed(7, [9])
                        }
                    }
                    attribute("floats", 6) {
                        $0.float(7, 1)
                        $0.float(7, 2)
                    }
                    attribute("ints", 7) {
                        $0.int(8, 3)
                        $0.int(8, -1)
                    }
                    attribute("packed", 7) { $0.packed(8, [5, 6]) }
                    attribute("empty", 7) { _ in }
                    attribute("strings", 8) { $0.text(9, "a") }
                    attribute("untyped", nil) { $0.int(3, 2) }
                    attribute("sparse", 11) { $0.message(22) { _ in } }
                }
                graph.valueInfo(11, "x", [1])
                graph.valueInfo(12, "y", [1])
            }
        ).model
        let node = model.graph.nodes[0]
        let described = node.attributes.map { attribute -> String in
            switch attribute.value {
            case .tensor(let tensor): "\(attribute.name)=tensor\((try? tensor.array().integers()) ?? [])"
            default: "\(attribute.name)=\(attribute.value)"
            }
        }
        #expect(
            described == [
                "f=float(0.5)", "i=int(-4)", "s=string(\"SAME_UPPER\")", "t=tensor[9]", "floats=floats([1.0, 2.0])",
                "ints=ints([3, -1])", "packed=ints([5, 6])", "empty=ints([])", "strings=strings([\"a\"])",
                "untyped=int(2)",
                "sparse=unsupported(\"SPARSE_TENSOR\")",
            ])
    }

    @Test func unknownFieldsDoNotDisturb() throws {
        var message = Message.model { graph in
            graph.data(99, [1, 2, 3])
            graph.floats("t", [1], [4])
            graph.int(1000, 5)
            graph.valueInfo(12, "t", [1])
        }
        message.float(500, 1)
        #expect(try ModelFile.read(message).model.graph.initializers[0].array().doubles() == [4])
    }

    /// Lengths may be written with more bytes than needed.
    @Test func oddButValidLengthsAreRead() throws {
        let message = Message.model { $0.floats("t", [1], [4]) }
        // The graph's tag and its one-byte length.
        let at = message.bytes.lastIndex(of: 0x3A).map { Int($0) } ?? 0
        #expect(at > 0)
        var bytes = message.bytes
        let start = bytes.count - Int(bytes[6 + 1]) - 2
        #expect(bytes[start] == 0x3A)
        bytes.replaceSubrange(start + 1...start + 1, with: [bytes[start + 1] | 0x80, 0x80, 0])
        var odd = Message()
        odd.bytes = bytes
        #expect(try ModelFile.read(odd).model.graph.initializers[0].array().doubles() == [4])
    }

    @Test func nodesMayComeInAnyOrder() throws {
        let model = try ModelFile.read(
            .model { graph in
                graph.node("Relu", ["b"], ["c"])
                graph.node("Relu", ["x"], ["a"])
                graph.node("Relu", ["a"], ["b"])
                graph.valueInfo(11, "x", [1])
                graph.valueInfo(12, "c", [1])
            }
        ).model
        #expect(try model.graph.topologicalOrder(file: "model.onnx") == [1, 2, 0])
    }

    /// The schema's field numbers that the scanner and the exporter name themselves.
    @Test func formsMatchTheSchema() {
        let tensor = WireSchema.onnx.messages.first { $0.isTensor }
        for form in TensorPayload.Form.allCases {
            let field = tensor?.field(UInt32(form.rawValue))
            #expect(field?.name == form.fieldName)
            #expect(field?.isPayload == true)
        }
        #expect(tensor?.fields.filter(\.isPayload).count == TensorPayload.Form.allCases.count)
        #expect(WireSchema.onnx.messages[0].name == "ModelProto")
    }
}
