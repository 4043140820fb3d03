import ArgumentParser
import FineTune

/// `finetune apply`: weights from a safetensors file into a model.
struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Put the weights of a safetensors file into a model.",
        discussion: """
            The file must hold a tensor for each weight of the model, under its name and in its shape, and no other; \
            'export --format safetensors' writes such files. All but the weights stays as it is in the model.
            """)

    @Argument(help: "The ONNX file.") var model: String
    @Argument(help: ArgumentHelp("The weights.", valueName: "weights.safetensors")) var weights: String
    @Option(name: .customLong("output"), help: ArgumentHelp("The ONNX file to write.", valueName: "file"))
    var target: String
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        let path = ModelOptions.resolve(model)
        try checkOutput(target, inputs: [path, weights])
        let file = try ModelFile.read(path)
        let tensors = try SafetensorsFile(path: weights)
        try file.write(to: target, edits: try file.edits(applying: tensors))
        if !output.quiet { Console.line("Written: \(target) (\(Wording.count(tensors.names.count, "tensor")))") }
        if output.json { try Console.json(Report(output: target, tensors: tensors.names.count)) }
    }

    private struct Report: Encodable {
        var output: String
        /// How many were put into the model.
        var tensors: Int
    }
}
