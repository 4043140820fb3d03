import Files
import Foundation
import Reports
import Vision

extension RunReport {
    /// Writes `report.html`, `curves.svg` and `predictions.png` into a run's folder and the pictures into its events.
    ///
    /// Throws `FileError`, `PictureError`.
    public func write(to folder: RunFolder) throws {
        try AtomicFile.write(page, to: "\(folder.path)/report.html")
        try AtomicFile.write(LineChart.document(charts), to: "\(folder.path)/curves.svg")
        let sheet = PictureSheet((mistakes + samples).prefix(24).map(entry), columns: 6).picture()
        try sheet.writePNG(to: "\(folder.path)/predictions.png")
        try EventFile.last(in: folder.path)?.append(
            samples.prefix(8).enumerated().map { number, shown in
                (tag: "predictions/\(number + 1)", value: .picture(PictureSheet.picture(entry(shown))))
            }, step: bestEpoch)
    }

    private func entry(_ shown: Shown) -> PictureSheet.Entry {
        let outcome = shown.outcome
        let truth = outcome.isRight ? "" : ", is \(classes[outcome.label])"
        return PictureSheet.Entry(
            shown.picture, lines: [classes[outcome.guess], Wording.percent(outcome.probability) + truth],
            tone: outcome.isRight ? .right : .wrong)
    }
}

extension EventFile {
    /// Puts a file with `records` alone in the place of those that are in `folder`.
    static func replace(in folder: String, with records: [EpochRecord]) throws {
        while let old = last(in: folder) { try FileManager.default.removeItem(atPath: old.path) }
        let file = try create(in: folder)
        for record in records { try file.append(record) }
    }

    /// Adds an epoch: `loss/train`, `loss/val`, `accuracy/train`, `accuracy/val`, `learning_rate`.
    func append(_ record: EpochRecord) throws {
        try append(
            [
                ("loss/train", .scalar(record.train.loss)), ("loss/val", .scalar(record.val.loss)),
                ("accuracy/train", .scalar(record.train.accuracy)), ("accuracy/val", .scalar(record.val.accuracy)),
                ("learning_rate", .scalar(record.learningRate)),
            ], step: record.epoch)
    }
}
