import Foundation

/// A small line chart as SVG: a title, a legend, grid lines and one marked point.
public struct LineChart: Sendable {
    /// Which colour of the palette a line has.
    public enum Tone: String, Sendable {
        case quiet, accent, right, wrong
    }

    /// One line. Points whose numbers are not finite leave a gap.
    public struct Series: Sendable {
        public var name: String
        public var tone: Tone
        public var points: [Point]
        public init(_ name: String, _ tone: Tone, _ points: [Point]) {
            self.name = name
            self.tone = tone
            self.points = points
        }
    }
    /// A place in the units of the axes.
    public struct Point: Sendable {
        public var x: Double
        public var y: Double
        public init(_ x: Double, _ y: Double) {
            self.x = x
            self.y = y
        }
    }
    /// A point with a dot and words.
    public struct Mark: Sendable {
        public var point: Point
        public var text: String
        public init(_ point: Point, _ text: String) {
            self.point = point
            self.text = text
        }
    }

    public var title: String
    public var xTitle: String
    public var xScale: AxisKind
    public var yScale: AxisKind
    public var series: [Series]
    public var mark: Mark?
    /// Values the vertical axis must show, beside the points'.
    public var including: [Double]

    public init(
        _ title: String, xTitle: String, x: AxisKind = .count, y: AxisKind = .number, series: [Series],
        mark: Mark? = nil,
        including: [Double] = []
    ) {
        self.title = title
        self.xTitle = xTitle
        self.xScale = x
        self.yScale = y
        self.series = series
        self.mark = mark
        self.including = including
    }

    static let width = 420.0
    static let height = 270.0

    /// An `<svg>` element to stand in a page that carries the style sheet of `Page`.
    public var svg: Markup {
        """
        <svg class="chart" viewBox="0 0 \(number(LineChart.width)) \(number(LineChart.height))" role="img" \
        aria-label="\(title)">\(content)</svg>
        """
    }

    /// Charts side by side as an SVG file of its own.
    public static func document(_ charts: [LineChart]) -> String {
        let total = width * Double(charts.count)
        let placed = charts.enumerated().map { index, chart in
            Markup("<g transform=\"translate(\(number(Double(index) * width)))\">\(chart.content)</g>")
        }
        let picture: Markup = """
            <svg xmlns="http://www.w3.org/2000/svg" class="chart" width="\(number(total))" height="\(number(height))" \
            viewBox="0 0 \(number(total)) \(number(height))">
            <style>\(Markup(raw: Palette.chartCSS))</style>
            <rect class="c-paper" width="100%" height="100%"/>
            \(placed)
            </svg>

            """
        return picture.text
    }

    // MARK: - Drawing

    private static let area = (left: 52.0, right: 404.0, top: 42.0, bottom: 226.0)

    private var content: Markup {
        let points = series.flatMap(\.points)
        let x = Axis(xScale, covering: points.map(\.x))
        let y = Axis(yScale, covering: points.map(\.y) + including)
        return """
            <text class="c-title" x="10" y="20">\(title)</text>\(legend)\(grid(x, y))\
            \(series.map { line($0, x, y) })\(mark.flatMap { dot($0, x, y) })
            """
    }

    private var legend: Markup {
        var right = LineChart.area.right
        var parts: [Markup] = []
        var named: Set<String> = []
        // Lines of one name share an entry.
        for entry in series.reversed() where series.count > 1 && named.insert(entry.name).inserted {
            let textWidth = 7.3 * Double(entry.name.count)
            parts.append(
                """
                <text class="c-text" x="\(number(right))" y="20" text-anchor="end">\(entry.name)</text>\
                <line class="c-\(entry.tone.rawValue)" stroke-width="3" stroke-linecap="round" \
                x1="\(number(right - textWidth - 20))" x2="\(number(right - textWidth - 8))" y1="16" y2="16"/>
                """)
            right -= textWidth + 36
        }
        return "\(parts)"
    }

    private func grid(_ x: Axis, _ y: Axis) -> Markup {
        let area = LineChart.area
        let rows = y.ticks.compactMap { tick in
            height(tick, y).map { at -> Markup in
                """
                <line class="c-grid" x1="\(number(area.left))" x2="\(number(area.right))" y1="\(number(at))" \
                y2="\(number(at))"/><text class="c-text" x="\(number(area.left - 8))" y="\(number(at + 4.2))" \
                text-anchor="end">\(y.label(tick))</text>
                """
            }
        }
        let columns = x.ticks.compactMap { tick in
            across(tick, x).map { at -> Markup in
                """
                <text class="c-text" x="\(number(at))" y="\(number(area.bottom + 19))" \
                text-anchor="middle">\(x.label(tick))</text>
                """
            }
        }
        return """
            \(rows)\(columns)<text class="c-text" x="\(number((area.left + area.right) / 2))" \
            y="\(number(LineChart.height - 6))" text-anchor="middle">\(xTitle)</text>
            """
    }

    private func line(_ series: Series, _ x: Axis, _ y: Axis) -> Markup {
        var path = ""
        var isDrawing = false
        for point in series.points {
            guard let at = place(point, x, y) else {
                isDrawing = false
                continue
            }
            path += "\(isDrawing ? "L" : "M")\(number(at.x)) \(number(at.y))"
            // A point between gaps is a line of no length, which round caps make visible.
            if !isDrawing { path += "h0" }
            isDrawing = true
        }
        return "<path class=\"c-\(series.tone.rawValue)\" d=\"\(path)\"/>"
    }

    private func dot(_ mark: Mark, _ x: Axis, _ y: Axis) -> Markup? {
        guard let at = place(mark.point, x, y) else { return nil }
        let area = LineChart.area
        let anchor = at.x < area.left + 60 ? "start" : at.x > area.right - 60 ? "end" : "middle"
        let width = 7.3 * Double(mark.text.count)
        let left = anchor == "start" ? at.x : anchor == "end" ? at.x - width : at.x - width / 2
        // The words stay inside the frame, near the dot and clear of the lines where they can.
        let places = [-14.0, 24, -28, 38, -42, 52, -56, 66].map { at.y + $0 }.filter {
            area.top + 10...area.bottom - 4 ~= $0
        }
        let baseline = places.first { isFree(left - 3...left + width + 3, $0 - 13...$0 + 5, x, y) } ?? places.first
        return """
            <circle class="c-dot" cx="\(number(at.x))" cy="\(number(at.y))" r="4.5" stroke-width="2"/>\
            <text class="c-mark" x="\(number(at.x))" y="\(number(baseline ?? at.y - 14))" \
            text-anchor="\(anchor)">\(mark.text)</text>
            """
    }

    /// True when no line crosses the box.
    private func isFree(_ across: ClosedRange<Double>, _ down: ClosedRange<Double>, _ x: Axis, _ y: Axis) -> Bool {
        series.allSatisfy { series in
            zip(series.points, series.points.dropFirst()).allSatisfy { a, b in
                guard let a = place(a, x, y), let b = place(b, x, y), a.x < b.x,
                    a.x < across.upperBound, b.x > across.lowerBound
                else { return true }
                let heights = [max(a.x, across.lowerBound), min(b.x, across.upperBound)].map {
                    a.y + ($0 - a.x) / (b.x - a.x) * (b.y - a.y)
                }
                return heights.allSatisfy { $0 < down.lowerBound } || heights.allSatisfy { $0 > down.upperBound }
            }
        }
    }

    private func place(_ point: Point, _ x: Axis, _ y: Axis) -> Point? {
        guard let left = across(point.x, x), let top = height(point.y, y) else { return nil }
        return Point(left, top)
    }

    private func across(_ value: Double, _ axis: Axis) -> Double? {
        axis.fraction(value).map { LineChart.area.left + $0 * (LineChart.area.right - LineChart.area.left) }
    }

    private func height(_ value: Double, _ axis: Axis) -> Double? {
        axis.fraction(value).map { LineChart.area.bottom - $0 * (LineChart.area.bottom - LineChart.area.top) }
    }
}

/// A coordinate with at most one decimal.
private func number(_ value: Double) -> String {
    let text = String(format: "%.1f", value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}
