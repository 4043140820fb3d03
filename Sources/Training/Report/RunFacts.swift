import ONNX
import Reports

extension FineTuneRun {
    /// What a reader needs to judge and repeat the run, beside the command.
    func facts() -> [(name: String, value: String)] {
        let counts = data.classes.prefix(12).enumerated().map { label, name in
            "\(name): \(data.train.classCounts[label]) and \(data.val.classCounts[label])"
        }
        let shown = counts.joined(separator: ", ") + (data.classes.count > 12 ? ", ..." : "")
        var facts = [
            ("data", "\(data.train.count) train and \(data.val.count) val pictures (\(shown))"),
            ("augmentation", augmentation.rawValue),
            ("input", "\(loaded.preprocessing)"),
            (
                "batch norm",
                settings.batchNorm == .frozen ? "running statistics, frozen" : "batch statistics, running ones follow"
            ),
        ]
        if let head {
            facts.append(("new head", "\(head.path): \(head.oldClasses) to \(head.newClasses) classes"))
        }
        let machine = RunRecord.Machine.current
        facts += [
            ("model SHA-256", (try? loaded.imported.file.checksum()) ?? "unknown"),
            ("program", "finetune \(Release.version)"), ("processor", machine.cpu), ("kernels", machine.kernels),
            ("system", machine.system),
        ]
        return facts
    }
}
