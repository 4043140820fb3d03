import Files
import Foundation
import Synchronization

/// The epochs of a run that are done, a line of JSON for each, in a file that only grows: a checkpoint says how many lines it
/// counts on, so that what it takes to write one does not grow with them.
///
/// Lines that no checkpoint counts on (of a process that was killed, or found the disk full, before it could write one) go when
/// others come. Should the file be lost, `history.csv` has the same numbers but for the digits of seconds.
struct EpochLog {
    static let name = "epochs.jsonl"

    private let path: String
    private var lines = Lines()

    /// The first lines of a log: how many, how many bytes they take, and the digest over all in them but seconds.
    private struct Lines {
        var count = 0
        var byteCount = 0
        var hash = SHA256()

        mutating func append(_ record: EpochRecord, byteCount: Int) {
            count += 1
            self.byteCount += byteCount
            hash.update(Array("\(record.numberRow)\n".utf8))
        }

        /// `12 0123..ef`
        var reference: String { "\(count) \(hash.hexDigest())" }
    }

    /// The log in `folder`, as far as it holds `records`.
    init(folder: String, _ records: [EpochRecord]) throws {
        path = "\(folder)/\(EpochLog.name)"
        for (line, record) in zip(EpochLog.lines(of: path, atMost: records.count), records) {
            guard try line == EpochLog.line(record) else { break }
            lines.append(record, byteCount: line.count)
        }
    }

    /// Adds those of `records` that are not in it; it holds the others. Returns what a checkpoint says of them. Throws
    /// `FileError`.
    mutating func extend(to records: [EpochRecord]) throws -> String {
        guard records.count > lines.count else { return lines.reference }
        var next = lines
        var bytes: [UInt8] = []
        for record in records[lines.count...] {
            let line = try EpochLog.line(record)
            next.append(record, byteCount: line.count)
            bytes += line
        }
        try GrowingFile.write(bytes, to: path, at: lines.byteCount)
        lines = next
        return lines.reference
    }

    private static let lineEnd = UInt8(ascii: "\n")

    private static func line(_ record: EpochRecord) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(record)) + [lineEnd]
    }

    /// The first complete lines of the file at `path`, each with its end.
    private static func lines(of path: String, atMost limit: Int) -> [[UInt8]] {
        guard limit > 0, let bytes = try? FileBytes(path: path, access: .copied) else { return [] }
        return bytes.withUnsafeBytes { raw in
            var lines: [[UInt8]] = []
            var rest = raw[...]
            while lines.count < limit, let end = rest.firstIndex(of: lineEnd) {
                lines.append(Array(rest[...end]))
                rest = rest[(end + 1)...]
            }
            return lines
        }
    }

    /// The epochs that `reference` counts on, from the log in `folder` or from its history; nil when they are in neither as they
    /// were.
    static func records(_ reference: String, in folder: String) -> [EpochRecord]? {
        guard let count = reference.split(separator: " ").first.flatMap({ Int($0) }), count >= 0 else { return nil }
        func checked(_ records: [EpochRecord]) -> [EpochRecord]? {
            var lines = Lines()
            for record in records { lines.append(record, byteCount: 0) }
            return lines.reference == reference ? records : nil
        }
        let decoder = JSONDecoder()
        let logged = lines(of: "\(folder)/\(name)", atMost: count).compactMap {
            try? decoder.decode(EpochRecord.self, from: Data($0))
        }
        if let records = checked(logged) { return records }
        let rows = lines(of: "\(folder)/history.csv", atMost: count + 1).dropFirst()
        return checked(rows.compactMap { EpochRecord(row: String(decoding: $0.dropLast(), as: UTF8.self)) })
    }
}

/// The log of a folder that one process works in, opened with the first checkpoint that is written.
final class SharedEpochLog: Sendable {
    private let log = Mutex<EpochLog?>(nil)

    /// As `EpochLog.extend`.
    func extend(to records: [EpochRecord], in folder: String) throws -> String {
        try log.withLock { log in
            var current = try log ?? EpochLog(folder: folder, records)
            defer { log = current }
            return try current.extend(to: records)
        }
    }
}

extension EpochRecord {
    /// What `history.csv` has above its rows.
    static let header = "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate,seconds"

    /// A row of `history.csv`, exact but for seconds.
    var row: String { numberRow + String(format: ",%.3f", seconds) }

    /// The row without seconds.
    fileprivate var numberRow: String {
        "\(epoch),\(train.loss),\(train.accuracy),\(val.loss),\(val.accuracy),\(learningRate)"
    }

    /// Reads what `row` made; nil for anything else.
    init?(row: String) {
        let fields = row.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = fields.dropFirst().compactMap { Double($0) }
        guard fields.count == 7, numbers.count == 6, let epoch = Int(fields[0]) else { return nil }
        self.init(
            epoch: epoch, train: PhaseResult(loss: numbers[0], accuracy: numbers[1]),
            val: PhaseResult(loss: numbers[2], accuracy: numbers[3]), learningRate: numbers[4], seconds: numbers[5])
    }
}
