/// The colours of pages and charts: ink on paper, one accent, one colour each for right and wrong.
enum Palette {
    struct Tone {
        var name: String
        var light: String
        var dark: String
    }

    static let tones = [
        Tone(name: "paper", light: "#fdfdfc", dark: "#15161a"),
        Tone(name: "ink", light: "#1d1e21", dark: "#e6e6e9"),
        Tone(name: "soft", light: "#63666d", dark: "#9c9ea8"),
        Tone(name: "line", light: "#e3e3df", dark: "#2e3036"),
        Tone(name: "wash", light: "#f4f4f1", dark: "#1d1f24"),
        Tone(name: "quiet", light: "#98a1ab", dark: "#7d8794"),
        Tone(name: "accent", light: "#1c64d9", dark: "#6fb1ff"),
        Tone(name: "right", light: "#22784a", dark: "#62c48d"),
        Tone(name: "wrong", light: "#bb3524", dark: "#ff8b79"),
    ]

    /// Custom properties `--paper` and so on, following the reader's choice of light or dark on a screen.
    static var css: String {
        func block(_ pick: (Tone) -> String) -> String {
            tones.map { "--\($0.name):\(pick($0))" }.joined(separator: ";")
        }
        return """
            :root{color-scheme:light dark;\(block(\.light))}
            @media screen and (prefers-color-scheme:dark){:root{\(block(\.dark))}}
            """
    }

    /// Rules for charts without custom properties, which many SVG programs do not know.
    static var chartCSS: String {
        func rules(_ pick: (Tone) -> String) -> String {
            let color = Dictionary(tones.map { ($0.name, pick($0)) }, uniquingKeysWith: { first, _ in first })
            func tone(_ name: String) -> String { color[name] ?? "currentColor" }
            return """
                .c-paper{fill:\(tone("paper"))}
                .c-title{fill:\(tone("ink"))}
                .c-text{fill:\(tone("soft"))}
                .c-grid{stroke:\(tone("line"))}
                .c-quiet{stroke:\(tone("quiet"))}
                .c-accent{stroke:\(tone("accent"))}
                .c-right{stroke:\(tone("right"))}
                .c-wrong{stroke:\(tone("wrong"))}
                .c-mark{fill:\(tone("ink"));stroke:\(tone("paper"))}
                .c-dot{fill:\(tone("accent"));stroke:\(tone("paper"))}
                """
        }
        return """
            .chart text{font:12.5px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
            .chart .c-title,.chart .c-mark{font-weight:600;font-size:13.5px}
            .chart .c-mark{paint-order:stroke;stroke-width:4;stroke-linejoin:round}
            .chart path,.chart line{fill:none}
            .chart path{stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
            \(rules(\.light))
            @media screen and (prefers-color-scheme:dark){
            \(rules(\.dark))
            }
            """
    }
}
