import Files
import Foundation
import Reports
import Vision

extension RunReport {
    /// The page: self-contained HTML.
    public var page: String {
        let sections: [Markup?] = [
            header, warnings,
            Page.section("Curves", note: curveNote, "<div class=\"charts\">\(charts.map(\.svg))</div>"),
            Page.section("Classes", note: "What each validation picture was taken for.", classSection),
            Page.section(
                "Surest mistakes", note: "Wrong guesses with the highest probability: often a label to look at.",
                gallery(mistakes)),
            Page.section(
                "Predictions", note: "Validation pictures drawn at random, as the model sees them.", gallery(samples)),
            Page.section("What was trained", note: trainedNote, trainedSection),
            Page.section("How to repeat it", repeatSection),
        ]
        return Page(title: "\(title) · finetune", body: sections.compactMap { $0 }).html
    }

    /// Loss and accuracy over the epochs.
    public var charts: [LineChart] {
        func points(_ value: (EpochRecord) -> Double) -> [LineChart.Point] {
            history.map { LineChart.Point(Double($0.epoch), value($0)) }
        }
        let at = Double(bestEpoch)
        return [
            LineChart(
                "Loss", xTitle: "epoch",
                series: [
                    LineChart.Series("train", .quiet, points(\.train.loss)),
                    LineChart.Series("validation", .accent, points(\.val.loss)),
                ],
                mark: best.map {
                    LineChart.Mark(
                        .init(at, $0.val.loss),
                        $0.val.loss < 1e5 ? String(format: "%.3f", $0.val.loss) : Wording.loss($0.val.loss))
                }),
            LineChart(
                "Accuracy", xTitle: "epoch", y: .percent,
                series: [
                    LineChart.Series("train", .quiet, points(\.train.accuracy)),
                    LineChart.Series("validation", .accent, points(\.val.accuracy)),
                ], mark: best.map { LineChart.Mark(.init(at, $0.val.accuracy), Wording.percent($0.val.accuracy)) }),
        ]
    }

    // MARK: - Head

    private var title: String { RunReport.title(settings) }

    /// `resnet18 on pictures`.
    static func title(_ settings: RunSettings) -> String {
        func name(_ path: String) -> String {
            Folder.lastComponent(path.hasSuffix("/") ? String(path.dropLast()) : path)
        }
        let model = name(settings.model)
        let data = settings.data.map(name) ?? name(FineTuneRun.defaultData(model: settings.model))
        return "\(model.hasSuffix(".onnx") ? String(model.dropLast(5)) : model) on \(data)"
    }

    private var header: Markup {
        let trained = layers.reduce(0) { $0 + $1.trained }
        let total = layers.reduce(0) { $0 + $1.elements }
        let facts: [(String, String)] = [
            ("validation accuracy", Wording.percent(best?.val.accuracy ?? 0)),
            ("validation loss", Wording.loss(best?.val.loss ?? 0)),
            ("of \(Wording.grouped(total)) numbers trained", Wording.grouped(trained)),
            ("for \(Wording.count(history.count, "epoch"))", Wording.duration(seconds)),
        ]
        return """
            <header>
            <p class="kicker">finetune report</p>
            <h1>\(title)</h1>
            <p class="lead">After epoch \(bestEpoch), the best of \(history.count), \(Wording.grouped(correct)) of \
            \(Wording.count(outcomes.count, "validation picture")) are recognised. These are the weights in \
            <code>best.onnx</code>.\(ending)</p>
            <dl class="facts">\(facts.map { Markup("<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>") })</dl>
            </header>
            """
    }

    /// How a run came to fewer epochs than were asked for.
    private var ending: String {
        if history.count >= settings.epochs { return "" }
        let place = " after epoch \(history.count) of \(settings.epochs)"
        return isFinished
            ? " Training ended\(place): \(Wording.count(settings.patience ?? 0, "epoch")) without a better one."
            : " The run was stopped\(place); finetune --resume goes on with it."
    }

    private var warnings: Markup? {
        notes.isEmpty
            ? nil
            : "<section class=\"notes\">\n<h2>Notes</h2>\n\(notes.map { Markup("<p class=\"note\">\($0)</p>") })\n</section>"
    }

    private var curveNote: Markup {
        "The dot is the best epoch. Training numbers are means over the epoch, while weights move and pictures vary."
    }

    // MARK: - Classes

    private static let largestMatrix = 20
    private static let longestTable = 40
    /// Beyond so many classes the matrix needs the page's width.
    private static let widestBesideTable = 12

    private var classSection: Markup {
        let confusion = Confusion(classCount: classes.count, outcomes)
        let left = classes.count <= RunReport.largestMatrix ? matrix(confusion) : pairs(confusion)
        let layout: Markup = classes.count > RunReport.widestBesideTable ? "stack" : "split"
        return "<div class=\"\(layout)\"><div>\(left)</div><div>\(classTable(confusion))</div></div>"
    }

    private func matrix(_ confusion: Confusion) -> Markup {
        // Long names stand upright, so that the columns stay narrow.
        let isLong = classes.reduce(0) { $0 + max($1.count, 3) } > 28
        let direction: Markup = isLong ? " class=\"up\"" : ""
        let density: Markup = classes.count > 6 ? " dense" : ""
        let heads = classes.map { Markup("<th scope=\"col\"><span\(direction)>\($0)</span></th>") }
        let rows = classes.indices.map { truth -> Markup in
            let cells = classes.indices.map { guess in cell(confusion[truth, guess], truth, guess, confusion) }
            return "<tr><th scope=\"row\">\(classes[truth])</th>\(cells)</tr>\n"
        }
        return """
            <div class="scroll"><table class="matrix\(density)"><thead><tr><td></td>\(heads)</tr></thead><tbody>
            \(rows)</tbody></table></div><p class="note">Rows: the true class. Columns: the guess.</p>
            """
    }

    private func cell(_ count: Int, _ truth: Int, _ guess: Int, _ confusion: Confusion) -> Markup {
        guard count > 0 else { return "<td class=\"none\"><b>0</b></td>" }
        let share = Double(count) / Double(max(confusion.total(truth), 1))
        let opacity = String(format: "%.2f", 0.12 + 0.4 * share)
        let tone: Markup = truth == guess ? "" : " class=\"wrong\""
        return """
            <td title="\(classes[truth]) taken for \(classes[guess])"><i\(tone) style="opacity:\(opacity)"></i>\
            <b>\(count)</b></td>
            """
    }

    private func pairs(_ confusion: Confusion) -> Markup {
        let rows = confusion.mistakes.prefix(15).map { pair, count -> Markup in
            """
            <tr><td class="name">\(classes[pair.truth])</td><td class="name">\(classes[pair.guess])</td>\
            <td class="n">\(count)</td></tr>

            """
        }
        return """
            <h3>Most frequent mix-ups</h3><table class="wide"><thead><tr><th>true class</th><th>taken for</th>\
            <th class="n">times</th></tr></thead><tbody>
            \(rows)</tbody></table>
            """
    }

    private func classTable(_ confusion: Confusion) -> Markup {
        let isLong = classes.count > RunReport.longestTable
        let order =
            isLong
            ? classes.indices.sorted { (confusion.f1($0) ?? 2) < (confusion.f1($1) ?? 2) } : Array(classes.indices)
        let rows = order.prefix(RunReport.longestTable).map { label -> Markup in
            let recall = confusion.recall(label)
            return """
                <tr><th scope="row" class="name">\(classes[label])</th><td class="n">\(confusion.total(label))</td>\
                <td class="spare"><span class="bar"><i style="width:\(String(format: "%.1f", 100 * (recall ?? 0)))%"></i></span></td>\
                <td class="n">\(share(recall))</td><td class="n">\(share(confusion.precision(label)))</td>\
                <td class="n">\(share(confusion.f1(label)))</td></tr>

                """
        }
        let note: Markup? = isLong ? "<p class=\"note\">The \(RunReport.longestTable) classes that do worst.</p>" : nil
        return """
            <div class="scroll"><table class="wide"><thead><tr><th>class</th><th class="n">pictures</th>\
            <td class="spare"></td><th class="n" title="part of the class's pictures that were recognised">recall</th>\
            <th class="n" title="part of the guesses of the class that were right">precision</th>\
            <th class="n" title="harmonic mean of recall and precision">F1</th></tr></thead><tbody>
            \(rows)</tbody></table></div>\(note)
            """
    }

    private func share(_ value: Double?) -> String { value.map { Wording.percent($0) } ?? "–" }

    // MARK: - Pictures

    private func gallery(_ shown: [Shown]) -> Markup {
        let figures = shown.compactMap { entry -> Markup? in
            guard let source = try? entry.picture.dataURI() else { return nil }
            let outcome = entry.outcome
            let truth = classes[outcome.label]
            let guess = classes[outcome.guess]
            let below: Markup = outcome.isRight ? "" : "<small>is \(truth)</small>"
            return Page.figure(
                source, alt: "\(truth), taken for \(guess)",
                caption: "<b>\(guess)</b> \(Wording.percent(outcome.probability))\(below)",
                isPixelated: entry.picture.width < 100, kind: outcome.isRight ? "right" : "wrong")
        }
        return figures.isEmpty ? "" : "<div class=\"pictures\">\(figures.map { "\n\($0)" })\n</div>"
    }

    // MARK: - Training

    private var trainedNote: Markup {
        let names = layers.filter { $0.trained > 0 }.map(\.path)
        let shown = names.prefix(6).map { Markup("<code>\($0)</code>") }
        let list = shown.enumerated().map { $0 == 0 ? $1 : ", \($1)" }
        let more: Markup = names.count > 6 ? " and \(names.count - 6) more" : ""
        let rest = Wording.count(layers.count - names.count, "other layer")
        let stayed: Markup =
            settings.batchNorm == .frozen
            ? "stayed as in the file, bit for bit" : "kept their weights; batch norms followed the pictures"
        return "Trained: \(list)\(more). \(rest) \(stayed)."
    }

    private var trainedSection: Markup {
        let blocks = layers.map { layer -> Markup in
            let weight = String(format: "%.1f", 1 + log10(Double(max(layer.elements, 1))))
            let tone: Markup = layer.trained > 0 ? " class=\"on\"" : ""
            return """
                <i\(tone) style="flex-grow:\(weight)" title="\(layer.path): \(Wording.count(layer.elements, "number"))"></i>
                """
        }
        let rows = layers.map { layer -> Markup in
            let state = layer.trained == 0 ? "frozen" : layer.trained == layer.elements ? "trained" : "in part"
            return """
                <tr><th scope="row" class="name">\(layer.path)</th><td>\(layer.operator)</td>\
                <td class="n">\(Wording.grouped(layer.elements))</td><td>\(state)</td></tr>

                """
        }
        return """
            <div class="strip" aria-hidden="true">\(blocks)</div>
            <p class="note key"><i></i>frozen &#160; <i class="on"></i>trained &#160; from the picture to the classes, wider \
            for more numbers</p>
            <details><summary>All \(Wording.count(layers.count, "layer"))</summary><div class="scroll">
            <table class="wide"><thead><tr><th>layer</th><th>operator</th><th class="n">numbers</th><th></th></tr></thead>\
            <tbody>
            \(rows)</tbody></table></div></details>
            """
    }

    // MARK: - Repeating

    private var repeatSection: Markup {
        // Lines break between options only.
        let words = ((try? settings.commandWords()) ?? []).map { Markup("<span>\($0.joined(separator: " "))</span> ") }
        return """
            <pre><code>\(words)</code></pre>
            \(Page.list(facts.map { ($0.name, "\($0.value)") }))
            <details><summary>Every setting</summary>\(settingList)</details>
            <details><summary>Every epoch</summary>\(epochTable)</details>
            """
    }

    private var settingList: Markup {
        let values = (try? settings.options()) ?? [:]
        return Page.list(
            RunSettings.CodingKeys.allCases.compactMap { key in
                values[key.rawValue].map { ("--\(key.rawValue)", "\($0.text)") }
            })
    }

    private var epochTable: Markup {
        func four(_ value: Double) -> String { String(format: "%.4f", value) }
        let rows = history.map { record -> Markup in
            """
            <tr><td>\(record.epoch)</td><td class="n">\(Wording.loss(record.train.loss))</td>\
            <td class="n">\(four(record.train.accuracy))</td><td class="n">\(Wording.loss(record.val.loss))</td>\
            <td class="n">\(four(record.val.accuracy))</td><td class="n">\(String(format: "%.3g", record.learningRate))</td>\
            <td class="n">\(Wording.duration(record.seconds))</td></tr>

            """
        }
        return """
            <div class="scroll"><table class="wide"><thead><tr><th>epoch</th><th class="n">train loss</th>\
            <th class="n">accuracy</th><th class="n">val loss</th><th class="n">accuracy</th><th class="n">rate</th>\
            <th class="n">time</th></tr></thead><tbody>
            \(rows)</tbody></table></div>
            """
    }
}
