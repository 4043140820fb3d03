import ArgumentParser
import FineTune

/// `finetune ops`: the operators that models may be made of.
struct OpsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ops", abstract: "Operators that models may be made of.")

    @Flag(help: "Print docs/operators.md.") var markdown = false
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        let rows = OperatorTable.rows
        if markdown { Console.text(OperatorTable.markdown.dropLast()) }
        let width = rows.map(\.name.count).max() ?? 0
        for row in rows where output.isShowingText && !markdown {
            let name = row.name + String(repeating: " ", count: width - row.name.count)
            let gradient = row.hasGradient ? "gradient" : "        "
            Console.line(
                "\(name)  opset \(row.firstOpset) to \(row.lastOpset)  \(gradient)  \(row.casesPassed)/\(row.cases) cases"
            )
        }
        if output.json { try Console.json(["operators": rows]) }
    }
}
