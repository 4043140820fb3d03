import Dispatch
import Reports
import Synchronization
import Vision

/// Some pictures of every class in one picture, a class after the other.
public struct ContactSheet: Sendable {
    /// Classes beyond these are left out: a sheet is to be looked at.
    public static let largestClassCount = 50

    /// Classes that are on the sheet.
    public var classCount: Int { min(classes.count, ContactSheet.largestClassCount) }

    private let samples: [PictureSample]
    private let classes: [String]
    private let columns: Int

    /// Takes pictures evenly from each class of the first part, the training pictures.
    public init(_ report: DataReport, perClass: Int) {
        classes = report.classes
        columns = min(perClass, 8)
        let all = report.parts.first?.dataset.samples ?? []
        samples = report.classes.indices.prefix(ContactSheet.largestClassCount).flatMap { label in
            let members = all.filter { $0.label == label }
            let count = min(perClass, members.count)
            return (0..<count).map { members[$0 * members.count / count] }
        }
    }

    /// The sheet; pictures that cannot be read are left out.
    public func picture() -> Picture {
        let found = Mutex([Int: PictureSheet.Entry]())
        DispatchQueue.concurrentPerform(iterations: samples.count) { index in
            guard let picture = try? Picture(contentsOf: samples[index].path) else { return }
            let entry = PictureSheet.Entry(
                picture.fitted(within: PictureSize(width: 160, height: 160)),
                lines: [classes[samples[index].label], "\(picture.size)"])
            found.withLock { $0[index] = entry }
        }
        let entries = found.withLock { $0 }
        return PictureSheet(samples.indices.compactMap { entries[$0] }, columns: columns).picture()
    }

    /// Writes the sheet as a PNG file. Throws `PictureError`.
    public func write(to path: String) throws { try picture().writePNG(to: path) }
}
