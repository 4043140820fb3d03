import ArgumentParser
import FineTune

/// `finetune run`: raw tensors in, raw tensors out.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a model on raw tensors.",
        discussion: """
            Reads a safetensors file with one tensor per graph input, by name, and writes one with the graph's outputs. A model
            with a single input takes a file with a single tensor of any name.
            """)

    @Argument(help: "The ONNX file.") var model: String
    @Option(help: ArgumentHelp("Tensors to read.", valueName: "in.safetensors")) var inputs: String
    @Option(help: ArgumentHelp("Tensors to write.", valueName: "out.safetensors")) var outputs: String
    @Option(help: "CPU threads; 0 means all.") var threads = 0

    func run() throws {
        Parallel.setThreadCount(threads)
        let path = ModelOptions.resolve(model)
        let graph = try ModelFile.read(path).graph()
        let file = try SafetensorsFile(path: inputs)
        let results: [String: NDArray]
        do {
            results = try graph.run(named: file.tensors(), source: inputs)
        } catch let error as GraphError {
            throw ONNXError(path, .invalidModel, "\(error)")
        }
        try Safetensors.write(results, to: outputs)
    }
}
