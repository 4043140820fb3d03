import ArgumentParser
import FineTune

/// `finetune apply`: weights from a safetensors file into a model.
struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Put the weights of a safetensors file into a model.",
        discussion: """
            The file must hold a tensor for each weight of the model, under its name and in its shape, and no other; 'export
            --format safetensors' writes such files. All but the weights stays as it is in the model.
            """)

    @Argument(help: "The ONNX file.") var model: String
    @Argument(help: ArgumentHelp("The weights.", valueName: "weights.safetensors")) var weights: String
    @Option(help: ArgumentHelp("The ONNX file to write.", valueName: "file")) var output: String

    func run() throws {
        let file = try ModelFile.read(ModelOptions.resolve(model))
        try file.write(to: output, edits: try file.edits(applying: SafetensorsFile(path: weights)))
    }
}
