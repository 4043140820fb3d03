import Foundation
import TensorCore

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// Where tests find their files.
public enum TestFiles {
    /// The package's folder.
    public static let package = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// `Tests/Fixtures`.
    public static let fixtures = package.appendingPathComponent("Tests/Fixtures")

    /// Reference models and pictures beside the package, or at `$FINETUNE_SHARED`; nil when there are none.
    public static let shared: URL? = {
        let environment = ProcessInfo.processInfo.environment["FINETUNE_SHARED"]
        let folder =
            environment.map { URL(fileURLWithPath: $0) }
            ?? package.deletingLastPathComponent().appendingPathComponent("shared")
        return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
    }()

    /// The ONNX project's own cases, in `$ONNX_CASES` or where `scripts/fetch-conformance` puts them; nil when there are
    /// none.
    public static let onnxCases: URL? = {
        let folder =
            ProcessInfo.processInfo.environment["ONNX_CASES"].map { URL(fileURLWithPath: $0) }
            ?? package.appendingPathComponent(".build/onnx-cases")
        return FileManager.default.fileExists(atPath: folder.appendingPathComponent("node").path) ? folder : nil
    }()
}

/// Why two arrays are not close, or nil when they are: |a − b| ≤ atol + rtol · |b| for every element.
public func difference(_ a: NDArray, _ b: NDArray, rtol: Double = 1e-5, atol: Double = 1e-8) -> String? {
    guard a.shape == b.shape else { return "shapes \(a.shape) and \(b.shape)" }
    guard a.dtype == b.dtype else { return "element types \(a.dtype) and \(b.dtype)" }
    for (index, (x, y)) in zip(a.doubles(), b.doubles()).enumerated() {
        if x == y || (x.isNaN && y.isNaN) { continue }
        if !(abs(x - y) <= atol + rtol * abs(y)) { return "element \(index): \(x) and \(y)" }
    }
    return nil
}

/// Largest |a − b| divided by the largest |b|.
public func relativeError(_ a: NDArray, _ b: NDArray) -> Double {
    guard a.shape == b.shape else { return .infinity }
    let (x, y) = (a.doubles(), b.doubles())
    let scale = y.map(abs).max() ?? 0
    let error = zip(x, y).map { abs($0 - $1) }.reduce(0) { $1.isNaN ? .infinity : max($0, $1) }
    return scale == 0 ? error : error / scale
}

/// Why `text` is not well-formed XML, or nil when it is.
public func xmlError(_ text: String) -> String? {
    let parser = XMLParser(data: Data(text.utf8))
    return parser.parse() ? nil : "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "unknown")"
}
