import ArgumentParser
import FineTune

/// `finetune export`: a model in another form.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model as ONNX or its weights as safetensors.",
        discussion: """
            ONNX: a copy that is byte-identical unless tensors move into or out of the file. safetensors: every tensor under \
            its name in the model; 'apply' puts them back.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case onnx, safetensors }

    @Argument(help: "The ONNX file.") var model: String
    @Option(help: "onnx or safetensors.") var format: Format = .onnx
    @Flag(help: "Keep tensors of 1 KiB and more in FILE.data beside the model.") var externalData = false
    @Flag(help: "Put all tensors into the model file.") var embed = false
    @Option(name: .customLong("output"), help: ArgumentHelp("The file to write.", valueName: "file"))
    var target: String
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        guard !(externalData && embed) else { throw ValidationError("--external-data and --embed exclude each other") }
        guard format == .onnx || !(externalData || embed) else {
            throw ValidationError("--external-data and --embed are for --format onnx")
        }
    }

    func run() throws {
        let path = ModelOptions.resolve(model)
        try checkOutput(target, inputs: [path])
        let file = try ModelFile.read(path)
        switch format {
        case .safetensors: try file.writeSafetensors(to: target)
        case .onnx:
            try file.write(
                to: target, externalData: embed ? .embed : externalData ? .external(minimumBytes: 1024) : .keep)
        }
        let count = file.weights.count
        if !output.quiet { Console.line("Written: \(target) (\(Wording.count(count, "tensor")))") }
        if output.json { try Console.json(Report(output: target, format: format.rawValue, tensors: count)) }
    }

    private struct Report: Encodable {
        var output: String
        var format: String
        var tensors: Int
    }
}
