import ArgumentParser
import FineTune

/// `finetune inspect`: what a model is made of, and what can be unfrozen.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Layers, parameters and cuts of a model.")

    @Argument(help: "The ONNX file.") var model: String
    @Option(help: ArgumentHelp("Side of the square input, where the model leaves it open.", valueName: "pixels"))
    var imageSize: Int?
    @Flag(help: "Also show how the frozen model runs: algorithm, shapes and buffers of each step.") var plan = false
    @Option(help: ArgumentHelp("Pictures at a time that --plan is made for.", valueName: "count")) var batchSize = 32
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        let inspection = try Inspection(
            path: ModelOptions.resolve(model), imageSize: imageSize, planBatch: plan ? batchSize : nil)
        if output.isShowingText { for line in inspection.lines { Console.line(line) } }
        if output.json { try Console.json(inspection) }
    }
}
