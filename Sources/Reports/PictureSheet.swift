import TensorCore
import Vision

/// Pictures in rows, each with words below it and a coloured edge when it is right or wrong: one PNG to look at.
public struct PictureSheet: Sendable {
    /// Which colour the frame and the first line have.
    public enum Tone: Sendable {
        case plain, right, wrong
    }
    /// A picture and the lines below it.
    public struct Entry: Sendable {
        public var picture: Picture
        /// At most two lines are shown.
        public var lines: [String]
        public var tone: Tone
        public init(_ picture: Picture, lines: [String], tone: Tone = .plain) {
            self.picture = picture
            self.lines = lines
            self.tone = tone
        }
    }

    public var entries: [Entry]
    public var columns: Int
    /// Side of the square that a picture is fitted into, in pixels.
    public var side: Int

    public init(_ entries: [Entry], columns: Int, side: Int = 160) {
        self.entries = entries
        self.columns = max(1, columns)
        self.side = side
    }

    private static let gap = 14
    private static let lineHeight = 22
    private static let paper: Picture.Color = (253, 253, 252)

    /// The sheet, RGB on a light ground.
    public func picture() -> Picture {
        let cell = PictureSize(width: side, height: side + 8 + lineCount * PictureSheet.lineHeight)
        let gap = PictureSheet.gap
        let shown = min(columns, max(entries.count, 1))
        let rows = max((entries.count + shown - 1) / shown, 1)
        let paper = PictureSheet.paper
        var sheet = Picture(
            width: gap + shown * (cell.width + gap), height: gap + rows * (cell.height + gap),
            color: [paper.red, paper.green, paper.blue])
        for (index, entry) in entries.enumerated() {
            draw(
                entry, on: &sheet, x: gap + index % shown * (cell.width + gap),
                y: gap + index / shown * (cell.height + gap))
        }
        return sheet
    }

    /// One entry alone.
    public static func picture(_ entry: Entry, side: Int = 160) -> Picture {
        PictureSheet([entry], columns: 1, side: side).picture()
    }

    private var lineCount: Int { min(entries.map(\.lines.count).max() ?? 0, 2) }

    private func draw(_ entry: Entry, on sheet: inout Picture, x: Int, y: Int) {
        let box = PictureSize(width: side, height: side)
        let factor = side / max(entry.picture.width, entry.picture.height, 1)
        let fitted = factor > 1 ? entry.picture.enlarged(by: factor) : entry.picture.fitted(within: box)
        let (left, top) = (x + (side - fitted.width) / 2, y + (side - fitted.height) / 2)
        let ink: Picture.Color
        switch entry.tone {
        case .plain: ink = (29, 30, 33)
        case .right: ink = (34, 120, 74)
        case .wrong: ink = (187, 53, 36)
        }
        if entry.tone == .wrong {
            let edge = Picture(
                width: fitted.width + 6, height: fitted.height + 6, color: [ink.red, ink.green, ink.blue])
            sheet.paste(edge, x: left - 3, y: top - 3)
        }
        sheet.paste(fitted, x: left, y: top)
        for (number, line) in entry.lines.prefix(2).enumerated() {
            let color = number == 0 ? ink : (99, 102, 109)
            let text = Picture.text(line, ink: color, paper: PictureSheet.paper, maxWidth: side)
            sheet.paste(text, x: x, y: y + side + 8 + number * PictureSheet.lineHeight)
        }
    }
}
