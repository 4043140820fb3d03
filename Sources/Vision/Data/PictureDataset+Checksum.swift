import Dispatch
import Files
import Synchronization

extension PictureDataset {
    /// SHA-256 in hexadecimal over class names, and each picture's path, label and bytes, in order.
    ///
    /// Paths count from the folder (or the list's folder), so that data may be moved as a whole. A picture that cannot be read
    /// counts as such.
    public func checksum() -> String {
        let digests = Mutex([String](repeating: "", count: samples.count))
        DispatchQueue.concurrentPerform(iterations: samples.count) { index in
            let digest = (try? FileBytes(path: samples[index].path))?.sha256() ?? "unreadable"
            digests.withLock { $0[index] = digest }
        }
        var hash = SHA256()
        hash.update(Array((classes.joined(separator: "\n") + "\n\n").utf8))
        for (sample, digest) in zip(samples, digests.withLock { $0 }) {
            hash.update(Array("\(digest) \(sample.label) \(relative(sample.path))\n".utf8))
        }
        return hash.hexDigest()
    }

    private func relative(_ path: String) -> String {
        let roots = [source + "/", Folder.containing(source) + "/"]
        return roots.first(where: path.hasPrefix).map { String(path.dropFirst($0.count)) } ?? path
    }
}
