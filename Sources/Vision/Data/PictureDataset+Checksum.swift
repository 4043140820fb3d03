import Files
import TensorCore

extension PictureDataset {
    /// SHA-256 in hexadecimal over class names, and each picture's path, label and bytes, in order.
    ///
    /// Paths count from the folder (or the list's folder), so that data may be moved as a whole. A picture that cannot be read
    /// counts as such.
    ///
    /// - Parameter contents: SHA-256 of each picture's bytes, where known already; nil in it for one that cannot be read.
    public func checksum(contents: [SHA256.Digest?]? = nil) -> String {
        let contents = contents ?? Parallel.map(samples.count) { try? FileBytes(path: samples[$0].path).digest() }
        var hash = SHA256()
        hash.update(Array((classes.joined(separator: "\n") + "\n\n").utf8))
        let roots = [source + "/", Folder.containing(source) + "/"].map { Array($0.utf8) }
        for (sample, content) in zip(samples, contents) {
            var path = Substring(sample.path).utf8
            // Bytes, not characters: one that combines with a slash hides it.
            if let root = roots.first(where: path.starts) { path = path.dropFirst(root.count) }
            hash.update(Array((content.map { "\($0)" } ?? "unreadable").utf8))
            hash.update(Array(" \(sample.label) ".utf8))
            hash.update(Array(path))
            hash.update([UInt8(ascii: "\n")])
        }
        return hash.hexDigest()
    }
}
