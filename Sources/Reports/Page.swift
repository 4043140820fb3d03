/// A page that stands alone: style, pictures and charts inside, no script, nothing fetched.
public struct Page: Sendable {
    public var title: String
    /// Sections in order, below one another.
    public var body: [Markup]

    public init(title: String, body: [Markup]) {
        self.title = title
        self.body = body
    }

    /// The HTML file.
    public var html: String {
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <link rel="icon" href="data:,"/>
            <title>\(title)</title>
            <style>
            \(Markup(raw: Palette.css))
            \(Markup(raw: Palette.chartCSS))
            \(Markup(raw: Page.css))
            </style>
            </head>
            <body>
            <main>
            \(body.map { "\($0)\n" })</main>
            </body>
            </html>

            """
        return page.text
    }

    /// A part of a page under a heading, with a line about it; nil for one without content.
    public static func section(_ title: String, note: Markup? = nil, _ content: Markup) -> Markup? {
        guard !content.text.isEmpty else { return nil }
        return "<section>\n<h2>\(title)</h2>\n\(note.map { "<p class=\"note\">\($0)</p>\n" })\(content)\n</section>"
    }

    /// Names and values, one below the other.
    public static func list(_ entries: [(name: String, value: Markup)]) -> Markup {
        let rows = entries.map { Markup("<div><dt>\($0.name)</dt><dd>\($0.value)</dd></div>") }
        return "<dl class=\"list\">\(rows)</dl>"
    }

    /// A picture with words below it.
    public static func figure(_ source: String, alt: String, caption: Markup, isPixelated: Bool, kind: String) -> Markup
    {
        """
        <figure class="\(kind)"><img src="\(source)" alt="\(alt)"\(isPixelated ? Markup(" class=\"pixels\"") : "")/>\
        <figcaption>\(caption)</figcaption></figure>
        """
    }

    private static let css = """
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--paper);color:var(--ink);
        font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
        main{max-width:60rem;margin:0 auto;padding:3rem 1.25rem 4rem}
        h1{font-size:clamp(1.6rem,1.2rem + 1.8vw,2.3rem);line-height:1.2;font-weight:650;letter-spacing:-.015em;
        margin:.35rem 0 .75rem;overflow-wrap:anywhere}
        h2{font-size:1.15rem;font-weight:650;letter-spacing:-.005em;margin:0 0 .9rem}
        h3{font-size:.95rem;font-weight:650;margin:1.6rem 0 .5rem}
        p{margin:0 0 .75rem}
        .kicker,.note{color:var(--soft)}
        .kicker{font-size:.9rem;margin:0}
        .note{font-size:.95rem;max-width:44rem;overflow-wrap:anywhere}
        .lead{font-size:1.1rem;max-width:44rem}
        section{margin-top:3rem;padding-top:1.75rem;border-top:1px solid var(--line)}
        .facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1.25rem 2rem;margin:2rem 0 0}
        .facts div{display:flex;flex-direction:column}
        .facts dt{color:var(--soft);font-size:.88rem;order:2}
        .facts dd{margin:0;font-size:1.65rem;font-weight:600;letter-spacing:-.02em;line-height:1.25;
        font-variant-numeric:tabular-nums}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.5rem 2rem}
        .chart{display:block;width:100%;max-width:34rem;height:auto;overflow:visible}
        .stack>div+div{margin-top:1.75rem}
        .scroll{overflow-x:auto}
        .dots{display:inline-block;width:140px;vertical-align:middle}
        table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.93rem}
        th,td{padding:.38rem .75rem .38rem 0;text-align:left;border-bottom:1px solid var(--line);
        vertical-align:baseline}
        thead th{color:var(--soft);font-weight:500;font-size:.88rem}
        tbody th{font-weight:500}
        tr>:last-child{padding-right:0}
        .wide{width:100%}
        .n{text-align:right;white-space:nowrap}
        .name{overflow-wrap:anywhere}
        .bar{display:block;height:.5rem;min-width:5rem;background:var(--wash);border-radius:.25rem;overflow:hidden}
        .bar i{display:block;height:100%;background:var(--accent)}
        .matrix{border-collapse:separate;border-spacing:3px;margin-left:-3px}
        .matrix th,.matrix td{border:0;padding:0 .45rem}
        .matrix td{min-width:2.6rem;height:2.3rem;text-align:center;vertical-align:middle;border-radius:.25rem;
        background:var(--wash);position:relative}
        .matrix td i{position:absolute;inset:0;border-radius:.25rem;background:var(--accent)}
        .matrix td i.wrong{background:var(--wrong)}
        .matrix td b{position:relative;font-weight:500}
        .matrix td.none b{color:var(--soft);opacity:.55}
        .matrix thead td{background:none}
        .matrix thead th{text-align:center;vertical-align:bottom;padding-bottom:.3rem}
        .matrix thead .up{writing-mode:vertical-rl;transform:rotate(180deg);display:inline-block;text-align:left;
        max-height:9rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
        .matrix tbody th{text-align:right;vertical-align:middle;max-width:9rem;overflow:hidden;text-overflow:ellipsis;
        white-space:nowrap;padding-left:3px}
        .dense th,.dense td{padding:0 .25rem}
        .dense td{min-width:1.75rem;height:1.75rem;font-size:.85rem}
        .dense tbody th{max-width:7rem}
        td.spare{vertical-align:middle}
        .split{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:2rem 3rem;
        align-items:start}
        .split>*{min-width:0}
        .pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.2rem,1fr));gap:1.1rem .9rem}
        figure{margin:0;min-width:0}
        figure img{display:block;width:100%;aspect-ratio:1;object-fit:cover;border-radius:.3rem;background:var(--wash)}
        figure img.pixels{image-rendering:pixelated}
        figure.wrong img{outline:3px solid var(--wrong);outline-offset:-1px}
        figcaption{font-size:.86rem;line-height:1.35;margin-top:.4rem;overflow-wrap:anywhere}
        figcaption small{display:block;font-size:.8rem;color:var(--soft)}
        figure.wrong figcaption b{color:var(--wrong)}
        figcaption b{font-weight:600}
        .strip{display:flex;gap:2px;height:2.2rem;margin:.25rem 0 .9rem}
        .strip i{flex:1 1 0;min-width:1px;border-radius:2px;background:var(--quiet);opacity:.4}
        .strip i.on{background:var(--accent);opacity:1}
        .key i{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;background:var(--quiet);opacity:.4;
        margin-right:.4rem}
        .key i.on{background:var(--accent);opacity:1}
        .list{margin:0;font-size:.93rem}
        .list div{display:grid;grid-template-columns:minmax(7.5rem,11rem) 1fr;gap:0 1rem;padding:.34rem 0;
        border-bottom:1px solid var(--line)}
        .list dt{color:var(--soft)}
        .list dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
        code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.88em}
        pre{background:var(--wash);border:1px solid var(--line);border-radius:.4rem;padding:.9rem 1rem;
        margin:0 0 1.25rem;        white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5}
        pre span{display:inline-block;max-width:100%}
        details{margin-top:1.25rem}
        summary{cursor:pointer;color:var(--accent);font-size:.95rem}
        details>:nth-child(2){margin-top:.75rem}
        .warning{border-left:3px solid var(--wrong);padding-left:.75rem}
        @media (max-width:30rem){main{padding-top:1.75rem}section{margin-top:2.25rem}
        .facts{grid-template-columns:1fr 1fr}.facts dd{font-size:1.4rem}
        .list div{grid-template-columns:1fr}
        .matrix th,.matrix td{padding:0 .2rem}.matrix td{min-width:2.1rem}
        .matrix tbody th{max-width:5.5rem}.dense{border-spacing:2px}
        .dense th,.dense td{padding:0 .1rem}.dense th{font-size:.82rem}
        .dense td{min-width:1.35rem;height:1.55rem;font-size:.78rem}.spare{display:none}th,td{padding-right:.5rem}
        .pictures{grid-template-columns:repeat(3,1fr)}}
        @media print{:root{--paper:#fff}body{font-size:11pt}main{max-width:none;padding:0}
        section{break-inside:auto;margin-top:1.5rem;padding-top:1rem}
        h2,h3{break-after:avoid}figure,tr,.chart,.matrix{break-inside:avoid}
        *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
        .pictures{grid-template-columns:repeat(6,1fr)}}
        """
}
