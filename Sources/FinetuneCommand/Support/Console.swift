import FineTune
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where text goes: results to standard output, everything about them to standard error.
enum Console {
    /// One line of results, in colour where that can be shown. Names in it may hold anything, see `shown`.
    static func line(_ text: some StringProtocol = "", _ style: Style? = nil) {
        let text = text.shown
        write((style.map { styled(text, $0) } ?? text) + "\n", to: STDOUT_FILENO)
    }

    /// A text of several lines that holds no names.
    static func text(_ text: some StringProtocol) { write(text + "\n", to: STDOUT_FILENO) }

    /// A line that programs read, as it is; on a terminal, where nobody but a person does, as `line`.
    static func data(_ text: String) {
        write((isatty(STDOUT_FILENO) == 1 ? text.shown : text) + "\n", to: STDOUT_FILENO)
    }

    /// Several lines that programs read in one go, as `data`.
    static func lines(_ texts: [String]) {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        piece(texts.map { (isTerminal ? $0.shown : $0) + "\n" }.joined())
    }

    /// Part of a line of results, or some lines, as they are.
    static func piece(_ text: String) {
        write(text, to: STDOUT_FILENO)
    }

    /// A line about the work: what was found, assumed, left out.
    static func note(_ text: some StringProtocol) { write(text.shown + "\n", to: STDERR_FILENO) }

    /// The one line of a failure.
    static func error(_ text: some StringProtocol) {
        write("\(styled("finetune:", .red, on: STDERR_FILENO)) \(text.shown)\n", to: STDERR_FILENO)
    }

    /// `value` as one line of JSON, the last of standard output. Numbers that are not finite are texts: `"nan"`.
    static func json(_ value: some Encodable) throws { write(try jsonText(value) + "\n", to: STDOUT_FILENO) }

    /// The text that `json` prints.
    static func jsonText(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .asText
        return String(decoding: try encoder.encode(value), as: UTF8.self).jsonShown
    }

    /// Colours, by their codes.
    enum Style: Int { case bold = 1, red = 31, green = 32 }

    /// `text` in colour where `descriptor` is a terminal that shows it and NO_COLOR (no-color.org) does not forbid it.
    private static func styled(_ text: String, _ style: Style, on descriptor: Int32 = STDOUT_FILENO) -> String {
        let isForbidden = ProcessInfo.processInfo.environment["NO_COLOR"]?.isEmpty == false
        guard takesCodes(descriptor), !isForbidden else { return text }
        return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
    }

    /// Whether `descriptor` is a terminal that understands more than lines of text.
    static func takesCodes(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Whether characters beyond ASCII can be shown.
    static var isUnicode: Bool {
        let environment = ProcessInfo.processInfo.environment
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        return locale.lowercased().replacing("-", with: "").contains("utf8")
    }

    /// Columns of the terminal, 80 when unknown.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Unbuffered and in full. Results that cannot be written end the program, as a closed pipe does.
    static func write(_ text: some StringProtocol, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN {
                var space = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&space, 1, -1)
                continue
            }
            guard count > 0 else {
                if descriptor == STDOUT_FILENO { giveUp(errno) }
                return
            }
            bytes = bytes.dropFirst(count)
        }
    }

    private static func giveUp(_ code: Int32) -> Never {
        error("\(FileError("standard output", code == ENOSPC ? .diskFull : .system(code)))")
        exit(1)
    }
}

/// A line that is redrawn in place on a terminal, and not drawn at all elsewhere.
struct ProgressLine {
    private let isEnabled: Bool
    /// What was done, and when, as the line was first drawn: a resumed run does not begin at nothing.
    private var start: (done: Int, time: ContinuousClock.Instant)?
    private var lastDrawn: ContinuousClock.Instant?

    init(isEnabled: Bool = true) { self.isEnabled = isEnabled && Console.takesCodes(STDERR_FILENO) }

    /// `label [#####.....] 40/100  35/s  12 s left  detail`.
    mutating func draw(
        _ label: String, _ done: Int, of total: Int, detail: @autoclosure () -> String = ""
    ) {
        guard isEnabled, total > 0 else { return }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < .milliseconds(50), done < total { return }
        lastDrawn = now
        let detail = detail()
        let start = self.start ?? (done, now)
        self.start = start
        let rate = Double(done - start.done) / max((now - start.time) / .seconds(1), 1e-6)
        let pace = rate > 0 ? "  \(String(format: rate < 10 ? "%.1f" : "%.0f", rate))/s" : ""
        let left = rate > 0 ? "  \(Wording.duration(Double(total - done) / rate)) left" : ""
        let tail = " \(done)/\(total)\(pace)\(left)\(detail.isEmpty ? "" : "  \(detail)")"
        let room = Console.width - label.count - tail.count - 4
        let cells = max(0, min(30, room))
        let filled = cells * done / total
        let bar =
            cells < 5
            ? "" : " [\(String(repeating: "#", count: filled))\(String(repeating: ".", count: cells - filled))]"
        Console.write("\r\u{1B}[K" + String((label + bar + tail).prefix(Console.width - 1)), to: STDERR_FILENO)
    }

    /// `label 1234` for work of which nobody knows the end.
    mutating func count(_ label: String, _ done: Int) {
        guard isEnabled else { return }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < .milliseconds(50) { return }
        lastDrawn = now
        Console.write("\r\u{1B}[K" + String("\(label) \(done)".prefix(Console.width - 1)), to: STDERR_FILENO)
    }

    /// Takes the line away.
    func clear() {
        if isEnabled && lastDrawn != nil { Console.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }
}

/// Runs `body`, and shows the work in it that takes longer than half a second as it goes on.
func showingProgress<R>(_ isEnabled: Bool, _ body: () throws -> R) rethrows -> R {
    let progress = WorkLine(isEnabled: isEnabled)
    defer { progress.clear() }
    return try WorkProgress.observed(by: { progress.draw($0, $1, $2) }, body)
}

/// A `ProgressLine` for one work after the other, told of by many threads.
private final class WorkLine: Sendable {
    private struct State {
        var line: ProgressLine
        var work = ""
        var begun = ContinuousClock.now
    }
    private let isEnabled: Bool
    private let state: Mutex<State?> = Mutex(nil)

    init(isEnabled: Bool) { self.isEnabled = isEnabled }

    func draw(_ work: String, _ done: Int, _ total: Int) {
        guard isEnabled else { return }
        state.withLock { state in
            if state?.work != work { state = State(line: ProgressLine(), work: work) }
            guard let begun = state?.begun, ContinuousClock.now - begun > .milliseconds(500) else { return }
            if total > 0 { state?.line.draw(work, done, of: total) } else { state?.line.count(work, done) }
        }
    }

    func clear() { state.withLock { $0?.line.clear() } }
}

/// Values that a `sparkline` shows.
let sparklineWidth = 10

/// The last few of `values` as a curve of one line: `▁▃▆█`. Nothing where the terminal cannot show it.
func sparkline(_ values: [Double]) -> String {
    let shown = values.suffix(sparklineWidth)
    guard Console.isUnicode, shown.count > 1, let low = shown.min(), let high = shown.max() else { return "" }
    let blocks = Array("▁▂▃▄▅▆▇█")
    return String(
        shown.map { blocks[high > low ? Int(($0 - low) / (high - low) * Double(blocks.count - 1) + 0.5) : 0] })
}
