import Files
import TensorCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension ModelFile {
    /// Writes the model to `path` with `edits`; without any, the file is byte-identical to the one that was read.
    ///
    /// Only the fields that `edits` touch differ: order, names, documentation, unknown fields, the storage form and element
    /// type of tensors stay. The file appears complete or not at all, a link at `path` is replaced rather than followed,
    /// and before it appears it is read back and compared. A data file beside it appears first, under a name that is free:
    /// until the model is replaced, the old one and its data go together.
    ///
    /// Throws `ONNXError` when an edit does not fit the model or the result does not read back, `FileError` when something
    /// cannot be written.
    public func write(
        to path: String, edits: ModelEdits = ModelEdits(), externalData: ExternalDataMode = .keep
    ) throws {
        try bytes.checkUnchanged()
        var patch = try ModelPatch(self)
        try patch.plan(edits)
        let dataPath = ModelFile.freeDataFile(for: path)
        var data = DataFile(name: Folder.lastComponent(dataPath))
        let usesDataFile = try placeTensors(&patch, mode: externalData, data: &data)
        try patch.commit(edits)
        guard patch.message.byteCount <= limits.fileBytes else {
            throw ONNXError(
                path, .export,
                "would have \(patch.message.byteCount) bytes, more than the limit of \(limits.fileBytes); keep tensors in a data "
                    + "file (--external-data)")
        }
        try protectSources(path, hasData: usesDataFile)

        if !usesDataFile { try copyDataFiles(besides: path, mode: externalData) }
        let dataFile = try usesDataFile ? AtomicFile(path: dataPath) : nil
        if let dataFile {
            try data.emit { try dataFile.write($0) }
            try dataFile.flush()
        }
        let modelFile = try AtomicFile(path: path)
        try bytes.withUnsafeBytes { original in
            try patch.message.emit(original) { try modelFile.write($0) }
        }
        try modelFile.flush()
        try checkWritten(modelFile, patch: patch, edits: edits, data: dataFile.map { (data, $0) })
        let replaced = usesDataFile ? ModelFile.dataFiles(of: path) : []
        try dataFile?.commit()
        try modelFile.commit()
        for file in replaced where file != dataPath { unlink(file) }
    }

    /// `MODEL.onnx.data`, then `MODEL.onnx.2.data` and so on.
    private static func dataFileNames(for path: String) -> some Sequence<String> {
        (1...).lazy.map { $0 == 1 ? path + ".data" : "\(path).\($0).data" }
    }

    private static func freeDataFile(for path: String) -> String {
        dataFileNames(for: path).first { access($0, F_OK) != 0 } ?? path + ".data"
    }

    /// Files of such names; there are two at most, unless somebody else made more.
    private static func presentDataFiles(for path: String) -> [String] {
        dataFileNames(for: path).prefix(9).filter { access($0, F_OK) == 0 }
    }

    /// Those that hold tensors of the model that is at `path` now.
    private static func dataFiles(of path: String) -> [String] {
        let present = presentDataFiles(for: path)
        guard !present.isEmpty, let old = try? ModelFile.read(path) else { return [] }
        let used = old.model.tensorsByOrdinal.values.compactMap { tensor -> String? in
            guard tensor.isExternal, case .success(let place) = ExternalLocation.parse(tensor.externalData) else {
                return nil
            }
            return place.location
        }
        return present.filter { used.contains(Folder.lastComponent($0)) }
    }

    /// The bytes that `write` would put into the model file, with all tensors embedded.
    public func serialized(edits: ModelEdits = ModelEdits()) throws -> [UInt8] {
        var patch = try ModelPatch(self)
        try patch.plan(edits)
        var data = DataFile(name: "")
        _ = try placeTensors(&patch, mode: .embed, data: &data)
        try patch.commit(edits)
        var result: [UInt8] = []
        result.reserveCapacity(patch.message.byteCount)
        try bytes.withUnsafeBytes { original in
            try patch.message.emit(original) { result.append(contentsOf: $0) }
        }
        return result
    }

    // MARK: - Where elements go

    /// Notes for every tensor that moves where it goes. Returns whether the model gets a data file of its own.
    private func placeTensors(_ patch: inout ModelPatch, mode: ExternalDataMode, data: inout DataFile) throws -> Bool {
        let tensors = model.tensorsByOrdinal.sorted { $0.key < $1.key }
        switch mode {
        case .embed:
            for (ordinal, tensor) in tensors where tensor.isExternal {
                try move(ordinal, tensor, in: &patch) { _ in .raw }
            }
            return false
        case .keep:
            guard tensors.contains(where: { $1.isExternal && patch.tensorEdits[$0] != nil }) else { return false }
            for (ordinal, tensor) in tensors where tensor.isExternal {
                try move(ordinal, tensor, in: &patch) { .external($0.place(in: &data)) }
            }
            return true
        case .external(let minimumBytes):
            let initializers = Set(model.graph.initializers.compactMap(\.ordinal))
            var moved = false
            for (ordinal, tensor) in tensors where tensor.isExternal || initializers.contains(ordinal) {
                guard try tensor.isExternal || (tensor.dataType.dtype != nil && tensor.rawByteCount() >= minimumBytes)
                else { continue }
                try move(ordinal, tensor, in: &patch) { .external($0.place(in: &data)) }
                moved = true
            }
            return moved
        }
    }

    private func move(
        _ ordinal: Int, _ tensor: TensorProto, in patch: inout ModelPatch,
        to storage: (TensorEdit.Elements) -> TensorEdit.Storage
    ) throws {
        var edit = patch.tensorEdits[ordinal] ?? TensorEdit(elements: .kept, storage: .same, dims: nil)
        if case .kept = edit.elements {
            if tensor.isExternal {
                let (file, range) = try tensor.externalRange(byteCount: tensor.rawByteCount(), source: source)
                edit.elements = .fileBytes(file, range)
            } else {
                edit.elements = .array(try tensor.array())
            }
        }
        edit.storage = storage(edit.elements)
        patch.tensorEdits[ordinal] = edit
    }

    /// Refuses to write over a file that tensors are still read from. A model that replaces itself may replace its data.
    func protectSources(_ path: String, hasData: Bool = false) throws {
        let present = try? FileBytes(path: path)
        var targets = [present]
        if hasData && present?.isSameFile(as: bytes) != true {
            // One of them goes when the model at `path` does.
            for name in ModelFile.presentDataFiles(for: path) {
                let data = try? FileBytes(path: name)
                guard data?.isSameFile(as: bytes) != true else {
                    throw ONNXError(name, .export, "is the model that was read; choose another name")
                }
                targets.append(data)
            }
        }
        for tensor in model.tensorsByOrdinal.values where tensor.isExternal {
            let (file, _) = try tensor.externalRange(byteCount: tensor.rawByteCount(), source: source)
            for case let target? in targets where file.isSameFile(as: target) {
                throw ONNXError(target.path, .export, "holds tensors of \(self.path); choose another name")
            }
        }
    }

    /// Puts the data files that the model names beside the new model, unless they are there already.
    ///
    /// A different file of that name is never overwritten: it may belong to another model.
    private func copyDataFiles(besides path: String, mode: ExternalDataMode) throws {
        guard mode == .keep else { return }
        let target = try Folder(path: Folder.containing(path))
        let own = Folder.lastComponent(path)
        for tensor in model.tensorsByOrdinal.values where tensor.isExternal {
            guard case .success(let place) = ExternalLocation.parse(tensor.externalData),
                Folder.components(of: place.location) == [own]
            else { continue }
            throw ONNXError(
                path, .export, "has the name of the model's data file; choose another name or embed the data")
        }
        var done: Set<String> = []
        for tensor in model.tensorsByOrdinal.values where tensor.isExternal {
            guard case .success(let place) = ExternalLocation.parse(tensor.externalData),
                done.insert(place.location).inserted
            else { continue }
            let file: FileBytes
            do throws(FileError) {
                file = try source.external(place.location)
            } catch {
                throw tensor.error(.externalData, "external data: \(error)")
            }
            do throws(FileError) {
                try Folder.checkComponents(of: place.location)
                try target.createFolders(for: place.location)
            } catch {
                throw ONNXError(
                    path, .export, "cannot keep its data in '\(place.location)': \(error.reason); embed it instead")
            }
            if let existing = try? target.read(place.location, policy: .anywhere) {
                guard existing.isSameFile(as: file) || existing.hasEqualBytes(file) else {
                    throw ONNXError(
                        path, .export,
                        "\(existing.path) exists with other content; choose another folder or embed the data")
                }
                continue
            }
            let copy = try AtomicFile(path: target.joined(place.location))
            try file.withUnsafeBytes { try copy.write($0) }
            try copy.commit()
        }
    }

    // MARK: - Reading back

    /// Reads what was written and compares it: every byte with what was meant, every tensor with its source.
    private func checkWritten(
        _ written: AtomicFile, patch: ModelPatch, edits: ModelEdits, data: (DataFile, AtomicFile)?
    ) throws {
        let model = try FileBytes(path: written.temporaryPath)
        try bytes.withUnsafeBytes { original in
            try compare(model, of: written) { try patch.message.emit(original, to: $0) }
        }
        var replacements: [String: FileBytes] = [:]
        if let (layout, file) = data {
            let bytes = try FileBytes(path: file.temporaryPath)
            try compare(bytes, of: file) { try layout.emit(to: $0) }
            replacements[layout.name] = bytes
        }
        guard !edits.isEmpty || data != nil else { return }
        let copy = try ModelFile(
            source: ElementSource(model: model, limits: limits, access: .mapped, replacements: replacements),
            limits: limits)
        let readBack = Dictionary(
            copy.model.graph.initializers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for tensor in self.model.graph.initializers where tensor.dataType.dtype != nil {
            guard let ordinal = tensor.ordinal, let new = readBack[tensor.name] else {
                throw ONNXError(written.path, .export, "tensor '\(tensor.name)' did not read back")
            }
            // Where an external tensor stays in place, its file is not part of what was written.
            if new.isExternal && data == nil { continue }
            let expected = try patch.expected[ordinal] ?? tensor.array()
            guard try new.array().isBitIdentical(to: expected) else {
                throw ONNXError(written.path, .export, "tensor '\(tensor.name)' did not read back as written")
            }
        }
    }

    private func compare(
        _ bytes: FileBytes, of file: AtomicFile, _ emit: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        var position = 0
        try bytes.withUnsafeBytes { written in
            try emit { piece in
                let end = position + piece.count
                guard end <= written.count, equalBytes(UnsafeRawBufferPointer(rebasing: written[position..<end]), piece)
                else {
                    throw ONNXError(file.path, .export, "did not read back as written, at byte \(position)")
                }
                position = end
            }
            guard position == written.count else {
                throw ONNXError(file.path, .export, "did not read back as written: it ends at byte \(written.count)")
            }
        }
    }
}

extension TensorEdit.Elements {
    fileprivate func place(in data: inout DataFile) -> ExternalLocation {
        switch self {
        case .array(let array): data.add(array)
        case .fileBytes(let file, let range): data.add(file, range)
        case .kept: preconditionFailure("kept elements have no bytes to place")
        }
    }
}
