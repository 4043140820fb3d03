/// Recognises files that are often taken for models.
enum FileKind {
    /// The error to throw for bytes that cannot be a model, or nil.
    static func refusal(_ bytes: UnsafeRawBufferPointer, file: String) -> ONNXError? {
        if bytes.isEmpty { return ONNXError(file, .empty, "the file is empty") }
        if starts(bytes, Array("version https://git-lfs.github.com/spec/".utf8)) {
            return ONNXError(
                file, .gitLFSPointer, "a Git LFS pointer, not the model itself; `git lfs pull` downloads the model")
        }
        for (magic, what) in formats where starts(bytes, magic) {
            return ONNXError(file, .otherFormat, "\(what), not an ONNX model")
        }
        if isText(bytes) {
            return ONNXError(file, .text, "a text file, not an ONNX model; it begins with \"\(beginning(of: bytes))\"")
        }
        return nil
    }

    private static let formats: [([UInt8], String)] = [
        ([0x50, 0x4B, 0x03, 0x04], "a ZIP archive (perhaps a PyTorch checkpoint; export it with torch.onnx.export)"),
        ([0x80, 0x02], "a Python pickle (perhaps a PyTorch checkpoint; export it with torch.onnx.export)"),
        ([0x1F, 0x8B], "gzip-compressed data"),
        ([0x89, 0x48, 0x44, 0x46], "an HDF5 file (perhaps a Keras model)"),
        ([0x89, 0x50, 0x4E, 0x47], "a PNG picture"),
        ([0xFF, 0xD8, 0xFF], "a JPEG picture"),
    ]

    private static func starts(_ bytes: UnsafeRawBufferPointer, _ prefix: [UInt8]) -> Bool {
        bytes.prefix(prefix.count).elementsEqual(prefix)
    }

    /// ASCII throughout. A model begins with the tag of its IR version, 0x08, which no text contains.
    private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.prefix(512).allSatisfy { (0x20..<0x7F).contains($0) || (9...13).contains($0) }
    }

    private static func beginning(of bytes: UnsafeRawBufferPointer) -> String {
        let line = bytes.prefix(40).prefix { $0 >= 0x20 }
        return String(decoding: line, as: UTF8.self).replacing("\"", with: "'")
    }
}
