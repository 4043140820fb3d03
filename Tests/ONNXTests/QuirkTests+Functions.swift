import Autograd
import NN
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// Functions of a model: inlined, told apart, refused where they expand to too much.
extension QuirkTests {
    /// Weights that calls of a function share, or that are its own, cannot be written back: training says so before it begins.
    @Test(arguments: ["given", "own"]) func weightsOfFunctionsStayFrozen(_ form: String) throws {
        let message = Message {
            $0.int(1, 8)
            $0.message(8) { $0.int(2, 17) }
            $0.message(8) {
                $0.text(1, "local")
                $0.int(2, 1)
            }
            $0.message(7) { graph in
                graph.floats("w", [3, 3], values(9, 0.25))
                graph.floats("fc.weight", [2, 3], values(6, 0.5))
                for (input, output) in [("x", "h"), ("h", "r")] {
                    graph.node("F", ["w", input], [output]) { $0.text(7, "local") }
                }
                gemm(&graph, "fc", ["r", "fc.weight"], "y")
                graph.valueInfo(11, "x", [2, 3])
                graph.valueInfo(12, "y", [2, 2])
            }
            $0.message(25) { function in
                function.text(1, "F")
                function.text(4, "w")
                function.text(4, "x")
                function.text(5, "y")
                if form == "own" {
                    function.message(7) { node in
                        node.text(2, "v")
                        node.text(4, "Constant")
                        node.message(5) { attribute in
                            attribute.text(1, "value")
                            attribute.message(5) {
                                $0.packed(1, [3, 3])
                                $0.int(2, 1)
                                $0.data(9, littleEndian(values(9, 0.5)))
                            }
                            attribute.int(20, 4)
                        }
                    }
                }
                function.message(7) { node in
                    node.text(1, "x")
                    node.text(1, form == "own" ? "v" : "w")
                    node.text(2, "y")
                    node.text(4, "MatMul")
                }
                function.message(9) { $0.int(2, 17) }
                function.text(10, "local")
            }
        }
        let model = try importing(message)
        let parameters = model.module.namedParameters()
        #expect(parameters.count == 3)
        let (inner, head) = (parameters.filter { $0.name != "fc.weight" }, parameters.filter { $0.name == "fc.weight" })
        for (_, parameter) in inner {
            #expect(throws: (any Error).self) { try model.checkWritable([parameter]) }
        }
        try model.checkWritable(head.map(\.parameter))
    }

    /// y = Block(Block(x, w1), w2) with Block(x, w) = Relu(Gemm(x, w)); `recursive` lets Block call itself.
    private func functions(recursive: Bool = false) -> Message {
        .model { graph in
            graph.floats("w1", [3, 3], values(9, 0.25))
            graph.floats("w2", [3, 3], values(9, 0.5))
            for (inputs, output) in [(["x", "w1"], "h"), (["h", "w2"], "y")] {
                graph.node("Block", inputs, [output]) { $0.text(7, "local") }
            }
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 3])
        }.followedBy { model in
            model.message(8) {
                $0.text(1, "local")
                $0.int(2, 1)
            }
            model.message(25) { function in
                function.text(1, "Block")
                for name in ["a", "b"] { function.text(4, name) }
                function.text(5, "c")
                function.node(recursive ? "Block" : "Gemm", ["a", "b"], ["inner"], field: 7) {
                    if recursive { $0.text(7, "local") } else { attribute(&$0, "transB", int: 1) }
                }
                function.node("Relu", ["inner"], ["c"], field: 7)
                for (domain, version): (String, Int64) in [("", 13), ("local", 1)] {
                    function.message(9) {
                        $0.text(1, domain)
                        $0.int(2, version)
                    }
                }
                function.text(10, "local")
            }
        }
    }

    @Test func functionsAreInlined() throws {
        let plain = Message.model { graph in
            graph.floats("w1", [3, 3], values(9, 0.25))
            graph.floats("w2", [3, 3], values(9, 0.5))
            gemm(&graph, "a", ["x", "w1"], "g")
            graph.node("Relu", ["g"], ["h"])
            gemm(&graph, "b", ["h", "w2"], "k")
            graph.node("Relu", ["k"], ["y"])
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 3])
        }
        let expected = try output(try importing(plain), picture)
        #expect(difference(try output(try importing(functions()), picture), expected, rtol: 0, atol: 0) == nil)
        let (model, copy) = try moved(functions(), unfreeze: "w2")
        #expect(difference(try output(copy, picture), try output(model, picture), rtol: 0, atol: 0) == nil)
        #expect(copy.file.model.functions.count == 1)
    }

    @Test func aFunctionThatCallsItselfIsRefusedByName() {
        let error = #expect(throws: ONNXError.self) { try importing(functions(recursive: true)) }
        #expect(error?.reason.contains("function 'Block' nests too deeply") == true)
    }

    /// y = f(x) with functions of the domain "local", each given by its name, overload, inputs, outputs and nodes.
    private func calling(
        _ nodes: [(String, [String], [String], overload: String)],
        _ functions: [(String, overload: String, [String], [String], [(String, [String], [String])])]
    ) -> Message {
        .model { graph in
            for (opType, inputs, outputs, overload) in nodes {
                graph.node(opType, inputs, outputs) {
                    if functions.contains(where: { $0.0 == opType }) { $0.text(7, "local") }
                    if !overload.isEmpty { $0.text(8, overload) }
                }
            }
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 3])
        }.followedBy { model in
            model.message(8) {
                $0.text(1, "local")
                $0.int(2, 1)
            }
            for (name, overload, inputs, outputs, nodes) in functions {
                model.message(25) { function in
                    function.text(1, name)
                    for input in inputs { function.text(4, input) }
                    for output in outputs { function.text(5, output) }
                    for (opType, inputs, outputs) in nodes {
                        function.node(opType, inputs, outputs, field: 7) {
                            if functions.contains(where: { $0.0 == opType }) { $0.text(7, "local") }
                        }
                    }
                    function.text(10, "local")
                    if !overload.isEmpty { function.text(13, overload) }
                }
            }
        }
    }

    @Test func functionsWithOneNameAreToldApart() throws {
        let model = calling(
            [("f", ["x"], ["y"], overload: "A")],
            [
                ("f", overload: "A", ["a"], ["b"], [("Neg", ["a"], ["b"])]),
                ("f", overload: "B", ["a"], ["b"], [("Relu", ["a"], ["b"])]),
            ])
        let expected = picture.doubles().map { -$0 }
        #expect(try output(try importing(model), picture).doubles() == expected)
    }

    /// A value of the graph has the name that a function's value would get, and a function hands an input back.
    @Test func namesOfFunctionsDoNotCollide() throws {
        let model = calling(
            [
                ("Neg", ["x"], ["k_1/c"], overload: ""), ("k", ["x"], ["p"], overload: ""),
                ("pass", ["p", "x"], ["q"], overload: ""), ("Add", ["q", "k_1/c"], ["y"], overload: ""),
            ],
            [
                ("k", overload: "", ["a"], ["o"], [("Add", ["a", "a"], ["c"]), ("Add", ["c", "a"], ["o"])]),
                ("pass", overload: "", ["a", "b"], ["a"], []),
            ])
        let found = try output(try importing(model), picture).doubles()
        for (y, x) in zip(found, picture.doubles()) { #expect(abs(y - 2 * x) < 1e-5) }
    }

    /// "k_1/" before "k_2/c" is "k_1/k_2/" before "c".
    @Test func namesOfFunctionsDoNotCollideWithEachOther() throws {
        let model = calling(
            [("k", ["x"], ["p"], overload: ""), ("k_1/k", ["p"], ["y"], overload: "")],
            [
                ("k", overload: "", ["a"], ["o"], [("Neg", ["a"], ["k_2/c"]), ("Neg", ["k_2/c"], ["o"])]),
                ("k_1/k", overload: "", ["a"], ["o"], [("Neg", ["a"], ["c"]), ("Add", ["c", "c"], ["o"])]),
            ])
        #expect(try output(try importing(model), picture).doubles() == picture.doubles().map { -2 * $0 })
    }

    /// Names and inputs count as well as nodes, of which there are few enough here.
    @Test(arguments: ["inner name", "outer name", "inputs", "operator name"])
    func functionsThatCopyMuchAreRefusedAtOnce(_ what: String) {
        let long = String(repeating: "n", count: 200_000)
        let outer = what == "outer name" ? long : "v"
        let inner = what == "inner name" ? long : "z"
        let opType = what == "operator name" ? long : "Relu"
        let formal = ["a"] + (0..<(what == "inputs" ? 100_000 : 0)).map { "i\($0)" }
        let leaf: (String, overload: String, [String], [String], [(String, [String], [String])]) = (
            "f2", overload: "", formal, ["b"], [("Relu", ["a"], [inner]), (opType, [inner], ["b"])]
        )
        let levels = (0..<2).map { level in
            ("f\(level)", overload: "", ["a"], ["b0"], (0..<100).map { ("f\(level + 1)", ["a"], ["b\($0)"]) })
        }
        let model = calling(
            [("Relu", ["x"], [outer], overload: ""), ("f0", [outer], ["y"], overload: "")], levels + [leaf])
        let start = ContinuousClock.now
        let error = #expect(throws: ONNXError.self) { try importing(model) }
        #expect(error?.reason.contains("too many nodes") == true)
        // A second of a quiet machine; tests share theirs.
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func functionsThatExpandToMillionsAreRefusedAtOnce() {
        let levels = (0..<10).map { level in
            (
                "f\(level)", overload: "", ["a"], ["a"],
                (0..<30).map { ("f\(level + 1)", ["a"], ["b\($0)"]) }
            )
        }
        let model = calling(
            [("f0", ["x"], ["y"], overload: "")], levels + [("f10", overload: "", ["a"], ["a"], [])])
        let error = #expect(throws: ONNXError.self) { try importing(model) }
        #expect(error?.reason.contains("too many nodes") == true, "\(String(describing: error))")
    }
}
