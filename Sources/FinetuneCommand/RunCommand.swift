import ArgumentParser
import FineTune

/// `finetune run`: raw tensors in, raw tensors out.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a model on raw tensors.",
        discussion: """
            Reads a safetensors file with one tensor per graph input, by name, and writes one with the graph's outputs. A \
            model with a single input takes a file with a single tensor of any name.
            """)

    @Argument(help: "The ONNX file.") var model: String
    @Option(help: ArgumentHelp("Tensors to read.", valueName: "in.safetensors")) var inputs: String
    @Option(help: ArgumentHelp("Tensors to write.", valueName: "out.safetensors")) var outputs: String
    @Option(help: "CPU threads; 0 means all.") var threads = 0
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        try useThreads(threads)
        let path = ModelOptions.resolve(model)
        let graph = try ModelFile.read(path).graph()
        try checkOutput(outputs, "--outputs", inputs: [path, inputs])
        let file = try SafetensorsFile(path: inputs)
        let results = try ONNXError.naming(path) { try graph.run(named: file.tensors(), source: inputs) }
        try Safetensors.write(results, to: outputs)
        if !output.quiet { Console.line("Written: \(outputs) (\(Wording.count(results.count, "tensor")))") }
        if output.json { try Console.json(Report(output: outputs, shapes: results.mapValues(\.shape))) }
    }

    private struct Report: Encodable {
        var output: String
        /// By name.
        var tensors: [Tensor]

        struct Tensor: Encodable {
            var name: String
            var shape: [Int]
        }

        init(output: String, shapes: [String: [Int]]) {
            self.output = output
            tensors = shapes.sorted { $0.key < $1.key }.map { Tensor(name: $0.key, shape: $0.value) }
        }
    }
}
