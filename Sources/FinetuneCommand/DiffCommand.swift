import ArgumentParser
import FineTune
import Foundation

/// `finetune diff`: what differs between two models.
struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "What differs between two models: tensors, nodes, shapes, metadata.")

    @Argument(help: ArgumentHelp("The ONNX file to compare with.", valueName: "a.onnx")) var first: String
    @Argument(help: ArgumentHelp("The ONNX file to compare.", valueName: "b.onnx")) var second: String
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        let difference = try ModelDifference(
            ModelFile.read(ModelOptions.resolve(first)), ModelFile.read(ModelOptions.resolve(second)))
        if output.isShowingText { for line in difference.lines { Console.line(line) } }
        if output.json { try Console.json(difference) }
    }
}
