#if canImport(Runtime)
    import Runtime
#endif

/// Ends the program over a mistake in the code that called the library, with `message` and the caller's file and line.
///
/// For functions that cannot throw: operators, subscripts, initializers. Unlike `preconditionFailure` it keeps its text in
/// release builds.
package func mistake(_ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line) -> Never {
    let place = callerOfTheLibrary().map { "\n  called at \($0)" } ?? ""
    fatalError("\(message())\(place)", file: file, line: line)
}

/// Ends the program with `message` unless `condition` holds; see `mistake`.
@inline(__always)
package func demand(
    _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
    if !condition { mistake(message(), file: file, line: line) }
}

/// `main.swift:12 in train()`: the innermost function outside of this library's sources; nil without debug information.
private func callerOfTheLibrary() -> String? {
    #if canImport(Runtime)
        // This file is Sources/TensorCore/Mistake.swift.
        var sources = "\(#filePath)"[...]
        for _ in 0..<2 { sources = sources[..<(sources.lastIndex(of: "/") ?? sources.startIndex)] }
        guard let frames = try? Backtrace.capture().symbolicated()?.frames else { return nil }
        for frame in frames {
            guard let symbol = frame.symbol, let place = symbol.sourceLocation, place.line > 0 else { continue }
            let isLibrary = place.path.hasPrefix(sources + "/") || place.path.hasPrefix("/<")
            if isLibrary || place.path.contains("compiler-generated") { continue }
            return "\(place.path):\(place.line) in \(symbol.name)"
        }
    #endif
    return nil
}
