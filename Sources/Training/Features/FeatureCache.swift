import Files
import Foundation
import Vision

/// Values at the cut on disk, for later runs.
///
/// One file per block, never changed after it has appeared under its name, so runs may share the folder; a block that is
/// not intact is removed and counts as absent. When the files outgrow the limit, those not used for longest go first.
public struct FeatureCache: Sendable {
    /// Files in it that do not have the cache's names are left alone.
    let folder: String
    /// Bytes that its files may take together.
    public let byteLimit: Int

    /// The cache below `folder`, which is made when something is written.
    public init(folder: String, byteLimit: Int = FeatureCache.standardLimit) {
        self.folder = folder + "/features"
        self.byteLimit = byteLimit
    }

    /// 4 GiB
    public static let standardLimit = 4 << 30

    /// `$XDG_CACHE_HOME/finetune` or `~/.cache/finetune`; nil without a home.
    public static func standardFolder(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String?
    {
        // XDG's rule: a relative path there counts as none.
        if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return cache + "/finetune" }
        return environment["HOME"].flatMap { $0.isEmpty ? nil : $0 + "/.cache/finetune" }
    }

    private func path(_ name: String) -> String { "\(folder)/\(name)" }

    // MARK: - Blocks

    /// Names of the blocks under `key`, sorted.
    func blockNames(_ key: SHA256.Digest) -> [String] {
        let prefix = FeatureBlock.prefix(key: key)
        return names().filter { $0.hasPrefix(prefix) }.sorted()
    }

    /// The block `name` under `key`, mapped, if it holds one of the `wanted` pictures; it then counts as used now. One that
    /// is damaged, as far as its header tells, is removed.
    func block(_ name: String, key: SHA256.Digest, wanted: Set<SHA256.Digest>) -> FeatureBlock? {
        guard let file = FeatureBlock.File(path(name), key: key) else {
            remove(name)
            return nil
        }
        guard let block = file.block(holding: wanted) else { return nil }
        touch(name)
        return block
    }

    /// Removes the block `name`, which is damaged.
    func removeBlock(_ name: String) { remove(name) }

    /// Writes a block and maps it, so that its memory can be given back; nil when the limit leaves no room for it.
    /// Throws when it cannot be written.
    func save(_ block: FeatureBlock, key: SHA256.Digest) throws -> FeatureBlock? {
        try Folder.make(folder)
        // Names and checksums take 64 bytes a row, the header about as much as this.
        let header = 128 * (block.columns.count + 4)
        guard makeRoom(for: block.byteCount + 64 * block.pictures.count + header) else { return nil }
        let name = block.fileName(key: key)
        try block.write(to: path(name), key: key)
        return FeatureBlock.File(path(name), key: key)?.block()
    }

    /// Removes every block under `key`.
    func removeBlocks(_ key: SHA256.Digest) {
        let prefix = FeatureBlock.prefix(key: key)
        for name in names() where name.hasPrefix(prefix) { remove(name) }
    }

    // MARK: - Pictures

    /// What an earlier run knew of the pictures at `paths`, by the state of their files.
    func knownPictures(_ paths: [String]) -> [PictureIndex.Stamp: SHA256.Digest] {
        PictureIndex.read(path(PictureIndex.fileName(paths))) ?? [:]
    }

    /// Keeps what `index` says of the pictures at `paths`; returns why that is not possible.
    func note(_ index: PictureIndex, of paths: [String]) -> (any Error)? {
        let name = PictureIndex.fileName(paths)
        guard index.hasNews else {
            touch(name)
            return nil
        }
        do {
            try Folder.make(folder)
            if makeRoom(for: 96 * paths.count + 1024) { try index.write(to: path(name)) }
            return nil
        } catch {
            return error
        }
    }

    // MARK: - Size

    /// Removes the files used longest ago until `byteCount` more bytes fit.
    private func makeRoom(for byteCount: Int) -> Bool {
        guard byteCount <= byteLimit else { return false }
        AtomicFile.removeAbandoned(in: folder)
        var files = names().compactMap { name -> (name: String, size: Int, used: Date)? in
            guard let known = try? FileManager.default.attributesOfItem(atPath: path(name)),
                let size = known[.size] as? Int, let used = known[.modificationDate] as? Date
            else { return nil }
            return (name, size, used)
        }
        files.sort { $0.used < $1.used }
        var total = files.reduce(byteCount) { $0 + $1.size }
        for file in files where total > byteLimit {
            remove(file.name)
            total -= file.size
        }
        return true
    }

    /// The cache's own files.
    private func names() -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter(FeatureCache.isOwn)
    }

    /// Whether `name` is 40 digits or `pictures`, a dash, 64 digits and `.safetensors`.
    private static func isOwn(_ name: String) -> Bool {
        let suffix = ".safetensors"
        guard name.hasSuffix(suffix) else { return false }
        func isHexadecimal(_ text: Substring.UTF8View, _ count: Int) -> Bool {
            text.count == count && text.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        }
        let parts = name.dropLast(suffix.count).utf8.split(
            separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.count == 2 && isHexadecimal(parts[1], 64)
            && (isHexadecimal(parts[0], 40) || parts[0].elementsEqual("pictures".utf8))
    }

    private func remove(_ name: String) { unlink(path(name)) }

    private func touch(_ name: String) {
        try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path(name))
    }
}
