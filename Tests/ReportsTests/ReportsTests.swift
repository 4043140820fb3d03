import CEvents
import Foundation
import TensorCore
import TestSupport
import Testing
import Vision

@testable import Reports

@Suite struct MarkupTests {
    @Test func escapesWhatIsInterpolated() {
        let name = "<b a=\"1\">&\u{1}é</b>"
        let inner: Markup = "<i>\(name)</i>"
        #expect(inner.text == "<i>&lt;b a=&quot;1&quot;&gt;&amp;\\u{1}é&lt;/b&gt;</i>")
        let outer: Markup = "<p>\(inner)\([inner, inner])\(Markup?.none)\(7)</p>"
        #expect(outer.text == "<p>" + inner.text + inner.text + inner.text + "7</p>")
    }

    @Test func pagesAreWellFormedAndFetchNothing() throws {
        let section = try #require(Page.section("A & B", note: "\("1 < 2")", "<p>x</p>"))
        let html = Page(title: "\"<&>\"", body: [section, Page.list([("name", "\("<v>")")])]).html
        #expect(xmlError(html) == nil)
        #expect(!html.contains("http") && !html.contains("<script"))
        #expect(Page.section("empty", "")?.text == nil)
    }
}

@Suite struct ChartTests {
    @Test func documentsAreWellFormed() {
        let points = [(1.0, 0.5), (2.0, .nan), (3.0, 0.25), (4.0, .infinity), (5.0, 0.125)].map {
            LineChart.Point($0, $1)
        }
        let chart = LineChart(
            "Loss <&>", xTitle: "epoch",
            series: [.init("train", .quiet, points), .init("val", .accent, Array(points.prefix(1)))],
            mark: .init(points[2], "0.250"))
        let svg = LineChart.document([chart, chart])
        #expect(xmlError(svg) == nil)
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        // Both gaps begin a new piece of the line.
        #expect(svg.components(separatedBy: "c-quiet\" d=\"M52 42h0M228 157h0M404 214.5h0").count == 3)
        let empty = LineChart("nothing", xTitle: "x", x: .logarithmic, series: [.init("a", .accent, [])])
        #expect(xmlError(LineChart.document([empty])) == nil)
    }

    @Test func wordsOfAMarkKeepClearOfTheLines() {
        let points = [LineChart.Point(1, 1), LineChart.Point(2, 0)]
        let chart = LineChart(
            "Loss", xTitle: "epoch", series: [.init("train", .quiet, points)], mark: .init(points[1], "0.00"))
        let svg = chart.svg.text
        #expect(svg.contains("d=\"M52 42h0L404 226\""))
        // The line passes 14 above its end just left of it, where the words end.
        #expect(svg.contains("<text class=\"c-mark\" x=\"404\" y=\"198\" text-anchor=\"end\">0.00</text>"))
    }

    @Test(arguments: [
        (AxisKind.number, [0.12, 0.93], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (.number, [3, 3], ["2.8", "3.0", "3.2"]),
        (.percent, [0.58, 1], ["50 %", "60 %", "70 %", "80 %", "90 %", "100 %"]),
        (.percent, [0.995, 1], ["99.5 %", "99.6 %", "99.7 %", "99.8 %", "99.9 %", "100.0 %"]),
        (.count, [1, 25], ["1", "5", "10", "15", "20", "25"]),
        (.count, [1, 2], ["1", "2"]),
        (.logarithmic, [1e-5, 0.3], ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]),
    ])
    func ticksAreRound(kind: AxisKind, values: [Double], expected: [String]) {
        let axis = Axis(kind, covering: values + [.nan])
        #expect(axis.ticks.map(axis.label) == expected)
        for value in values { #expect((0...1).contains(axis.fraction(value) ?? -1)) }
        #expect(axis.fraction(.nan) == nil)
    }
}

@Suite struct EventFileTests {
    @Test func checksumIsCRC32C() {
        let bytes = Array("123456789".utf8)
        #expect(ft_crc32c(bytes, bytes.count) == 0xE306_9283)
    }

    @Test func recordsReadBack() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("events-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(EventFile.last(in: folder) == nil)
        let file = try EventFile.create(in: folder, at: 5)
        #expect(EventFile.last(in: folder)?.path == file.path)
        let picture = Picture(width: 3, height: 2, color: [1, 2, 3])
        try file.append([("loss", .scalar(0)), ("acc", .scalar(0.75))], step: 1, at: 6)
        try file.append([("picture", .picture(picture))], step: 2, at: 7)

        let events = try readEvents(file.path)
        #expect(events.map(\.time) == [5, 6, 6, 7])
        #expect(events.map(\.step) == [0, 1, 1, 2])
        #expect(events.map(\.tag) == ["brain.Event:2", "loss", "acc", "picture"])
        #expect(events.map(\.value) == [nil, 0, 0.75, nil])
        #expect(events[3].png == (try picture.pngData()))
        #expect(throws: (any Error).self) { try EventFile(path: folder + "/none").append([], step: 0) }
    }
}

@Suite struct PictureTests {
    @Test func lettersAreDrawn() {
        let text = Picture.text("i.", ink: (9, 8, 7), paper: (1, 2, 3), scale: 1)
        let rows = (0..<text.height).map { y in
            (0..<text.width).map { x in text.samples[(y * text.width + x) * 3] == 9 ? "#" : "." }.joined()
        }
        #expect(rows == ["#...", "....", "#...", "#...", "#...", "#.##", "#.##", "....", "...."])
        #expect(
            Picture.text("Ünïcode", ink: (0, 0, 0), paper: (1, 1, 1))
                == Picture.text("Unicode", ink: (0, 0, 0), paper: (1, 1, 1)))
        #expect(Picture.text("a very long name", ink: (0, 0, 0), paper: (9, 9, 9), maxWidth: 40).width <= 40)
        #expect(Picture.text("", ink: (0, 0, 0), paper: (9, 9, 9)).width > 0)
    }

    @Test func sheetsHoldTheirPictures() {
        let red = Picture(width: 8, height: 8, color: [200, 0, 0])
        let sheet = PictureSheet(
            [.init(red, lines: ["a"], tone: .wrong), .init(red, lines: ["b", "c"]), .init(red, lines: [])], columns: 2,
            side: 16
        ).picture()
        #expect(sheet.size == PictureSize(width: 14 + 2 * 30, height: 14 + 2 * (16 + 8 + 44 + 14)))
        func pixel(_ x: Int, _ y: Int) -> [UInt8] {
            Array(sheet.samples[(y * sheet.width + x) * 3..<(y * sheet.width + x) * 3 + 3])
        }
        #expect(pixel(14, 14) == [200, 0, 0] && pixel(29, 29) == [200, 0, 0])
        #expect(pixel(13, 13) == [187, 53, 36] && pixel(43, 13) == [253, 253, 252])
    }

    @Test func jpegKeepsThePicture() throws {
        var smooth: [UInt8] = []
        for y in 0..<80 {
            for x in 0..<96 { smooth += [UInt8(2 * x), UInt8(3 * y), 60] }
        }
        let picture = Picture(pixels: NDArray(smooth, shape: [80, 96, 3]))
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("jpeg-\(UUID().uuidString).jpg").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data(try picture.jpegData(quality: 92)).write(to: URL(fileURLWithPath: folder))
        let back = try Picture(contentsOf: folder)
        #expect(back.size == picture.size)
        let errors = zip(back.samples, picture.samples).map { abs(Int($0) - Int($1)) }
        #expect(errors.max() ?? 255 <= 12)
        #expect(try picture.dataURI().hasPrefix("data:image/jpeg;base64,/9j/"))
        #expect(try Picture(width: 4, height: 4, color: [1]).dataURI().hasPrefix("data:image/png;base64,iVBOR"))
    }
}

/// One record of an event file.
struct Event {
    var time: Double
    var step: Int64
    var tag: String
    var value: Float?
    var png: [UInt8] = []
}

/// Reads an event file by its framing, checking every checksum.
func readEvents(_ path: String) throws -> [Event] {
    var rest = Array(try #require(FileManager.default.contents(atPath: path)))[...]
    func number(_ count: Int) -> UInt64 {
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    var events: [Event] = []
    while !rest.isEmpty {
        let head = Array(rest.prefix(8))
        let length = Int(number(8))
        #expect(number(4) == UInt64(EventFile.maskedChecksum(head)))
        let bytes = Array(rest.prefix(length))
        rest = rest.dropFirst(length)
        #expect(number(4) == UInt64(EventFile.maskedChecksum(bytes)))
        let event = try #require(tensorboard__event__unpack(nil, bytes.count, bytes))
        defer { tensorboard__event__free_unpacked(event, nil) }
        var read = Event(time: event.pointee.wall_time, step: event.pointee.step, tag: "")
        if event.pointee.what_case == TENSORBOARD__EVENT__WHAT_FILE_VERSION {
            read.tag = String(cString: event.pointee.file_version)
        } else {
            let value = try #require(event.pointee.summary.pointee.value[0]).pointee
            read.tag = String(cString: value.tag)
            if value.value_case == TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE {
                read.value = value.simple_value
            } else {
                let png = value.image.pointee.encoded_image_string
                read.png = Array(UnsafeBufferPointer(start: png.data, count: png.len))
            }
        }
        events.append(read)
    }
    return events
}
