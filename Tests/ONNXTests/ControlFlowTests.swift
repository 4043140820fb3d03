import Files
import GraphIR
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// Branches and loops that can be told before anything runs, and labels made behind the logits.
@Suite struct ControlFlowTests {
    private let x = NDArray([1, 2, 3] as [Float], shape: [1, 3])

    private func attribute(_ node: inout Message, _ name: String, _ graph: (inout Message) -> Void) {
        node.message(5) {
            $0.text(1, name)
            $0.message(6, graph)
            $0.int(20, 5)
        }
    }

    /// A bool initializer of no axes.
    private func bool(_ graph: inout Message, _ name: String, _ value: Bool) {
        graph.message(5) {
            $0.int(2, 9)
            $0.text(8, name)
            $0.data(9, [value ? 1 : 0])
        }
    }

    /// y = x + w, with a w of its own in each branch, and a value that both call `sum`.
    private func branches(_ other: String = "v", _ condition: (inout Message) -> Void) -> Message {
        .model { graph in
            graph.valueInfo(11, "x", [1, 3])
            condition(&graph)
            graph.node("If", ["c"], ["sum"]) { node in
                for (branch, name, value) in [("then_branch", "w", 10 as Float), ("else_branch", other, 20)] {
                    attribute(&node, branch) {
                        $0.floats(name, [1], [value])
                        $0.node("Add", ["x", name], ["inner"])
                        $0.valueInfo(12, "inner", [1, 3])
                    }
                }
            }
            graph.node("Neg", ["sum"], ["y"])
            graph.valueInfo(12, "y", [1, 3])
        }
    }

    private func run(_ message: Message) throws -> [Float] {
        let graph = try ModelFile.read(message).graph()
        return try #require(graph.run(named: ["x": x], source: "test")["y"]).elements(as: Float.self)
    }

    @Test func theBranchThatIsTaken() throws {
        #expect(try run(branches { bool(&$0, "c", true) }) == [-11, -12, -13])
        #expect(try run(branches { bool(&$0, "c", false) }) == [-21, -22, -23])
        // The last axis has 3 elements whatever the batch is.
        let shape = branches {
            $0.ints("three", [3])
            $0.ints("one", [1])
            $0.node("Shape", ["x"], ["shape"])
            $0.node("Gather", ["shape", "one"], ["last"])
            $0.node("Equal", ["last", "three"], ["c"])
        }
        #expect(try run(shape) == [-11, -12, -13])
    }

    /// Conditions that follow the batch or the data are not decided.
    @Test func branchesThatCannotBeTold() throws {
        let batch = branches {
            $0.ints("one", [1])
            $0.ints("zero", [0])
            $0.node("Shape", ["x"], ["shape"])
            $0.node("Gather", ["shape", "zero"], ["first"])
            $0.node("Equal", ["first", "one"], ["c"])
        }
        let data = branches {
            $0.floats("limit", [], [0])
            $0.node("ReduceMax", ["x"], ["most"])
            $0.node("Greater", ["most", "limit"], ["c"])
        }
        for message in [batch, data] {
            let error = #expect(throws: ONNXError.self) { try ModelFile.read(message).graph() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("operators that are not supported: If"))
        }
    }

    /// A weight of a branch goes back into the branch; one whose name another branch has stays.
    @Test func weightsOfBranches() throws {
        let file = try ModelFile.read(branches { bool(&$0, "c", true) })
        #expect(try file.serialized() == branches { bool(&$0, "c", true) }.bytes)
        let edits = ModelEdits(tensors: ["w": NDArray([5] as [Float])])
        let written = try ModelFile(bytes: FileBytes(file.serialized(edits: edits), path: "w"), limits: .default)
        let result = try written.graph().run(named: ["x": x], source: "test")["y"]
        #expect(result?.elements(as: Float.self) == [-6, -7, -8])
        let shared = try ModelFile.read(branches("w") { bool(&$0, "c", true) })
        #expect(throws: ONNXError.self) { try shared.serialized(edits: edits) }
    }

    /// y = x + 0 + 1 + 2, and every sum on the way.
    @Test func loopOfFixedCount() throws {
        // CastLike is an operator since 15.
        let message = Message.model(opset: 17) { graph in
            graph.valueInfo(11, "x", [1, 3])
            graph.ints("count", [3])
            graph.node("Loop", ["count", "", "x"], ["y", "all"]) { node in
                attribute(&node, "body") {
                    $0.valueInfo(11, "i", [], element: 7)
                    $0.valueInfo(11, "goes_on", [], element: 9)
                    $0.valueInfo(11, "before", [1, 3])
                    $0.node("CastLike", ["i", "before"], ["number"])
                    $0.node("Add", ["before", "number"], ["after"])
                    $0.node("Identity", ["goes_on"], ["still"])
                    $0.node("Identity", ["after"], ["row"])
                    $0.valueInfo(12, "still", [], element: 9)
                    $0.valueInfo(12, "after", [1, 3])
                    $0.valueInfo(12, "row", [1, 3])
                }
            }
            graph.valueInfo(12, "y", [1, 3])
            graph.valueInfo(12, "all", [3, 1, 3])
        }
        let file = try ModelFile.read(message)
        let results = try file.graph().run(named: ["x": x], source: "test")
        #expect(results["y"]?.elements(as: Float.self) == [4, 5, 6])
        #expect(results["all"]?.shape == [3, 1, 3])
        #expect(results["all"]?.elements(as: Float.self) == [1, 2, 3, 2, 3, 4, 4, 5, 6])
    }

    /// Labels and maps of probabilities are left out; the probabilities are the result.
    @Test func labelsBehindTheLogits() throws {
        let message = Message.model { graph in
            graph.valueInfo(11, "x", [1, 3])
            graph.node("Neg", ["x"], ["scores"])
            graph.ints("names", [7, 8, 9])
            graph.node("ArgMax", ["scores"], ["index"])
            graph.node("ArrayFeatureExtractor", ["names", "index"], ["label"]) { $0.text(7, "ai.onnx.ml") }
            graph.node("ZipMap", ["scores"], ["map"]) { $0.text(7, "ai.onnx.ml") }
            graph.valueInfo(12, "label", [1], element: 7)
            graph.valueInfo(12, "map", [1])
        }.followedBy { message in
            message.message(8) {
                $0.text(1, "ai.onnx.ml")
                $0.int(2, 3)
            }
        }
        let results = try ModelFile.read(message).graph().run(named: ["x": x], source: "test")
        #expect(results.mapValues { $0.elements(as: Float.self) } == ["scores": [-1, -2, -3]])
    }
}
