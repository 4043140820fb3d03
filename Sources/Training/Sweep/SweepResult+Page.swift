import Files
import Foundation
import Reports

extension SweepResult {
    /// The comparison page: self-contained HTML.
    public var page: String {
        let sections: [Markup?] = [
            header,
            Page.section("Ranking", note: rankingNote, ranking),
            Page.section(
                "Curves", note: curveNote,
                "<div class=\"charts\">\(charts.map(\.svg))</div>"),
            Page.section("Runs that broke off", failures),
            Page.section("How to repeat the best run", repeatSection),
        ]
        return Page(title: "Sweep: \(title) · finetune", body: sections.compactMap { $0 }).html
    }

    private var title: String { winner.map { RunReport.title($0.settings) } ?? "no run was complete" }

    private var header: Markup {
        guard let first = settings.first, let mean = first.mean else {
            return "<header><p class=\"kicker\">finetune sweep</p><h1>No run was complete</h1></header>"
        }
        let facts: [(String, String)] = [
            ("mean validation accuracy", Wording.percent(mean)),
            ("spread over \(Wording.count(seeds.count, "seed"))", first.spread.map { Wording.points($0) } ?? "–"),
            ("settings, \(settings.reduce(0) { $0 + $1.trials.count }) runs", "\(settings.count)"),
            ("in all runs", Wording.duration(settings.reduce(0) { $0 + $1.seconds })),
        ]
        return """
            <header>
            <p class="kicker">finetune sweep</p>
            <h1>\(title)</h1>
            <p class="lead">Best: \(words(first)). Its best run is in <code>best.onnx</code>.</p>
            <dl class="facts">\(facts.map { Markup("<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>") })</dl>
            </header>
            """
    }

    /// `lr 0.1, unfreeze fc`.
    private func words(_ setting: Sweep.Setting) -> String {
        axes.isEmpty ? "one setting" : zip(axes, setting.values).map { "\($0) \($1)" }.joined(separator: ", ")
    }

    // MARK: - Ranking

    private var rankingNote: Markup {
        seeds.count > 1
            ? "By mean validation accuracy over the seeds; each dot is a run, ± is the standard deviation."
            : "By validation accuracy. One seed tells little about small differences: --seeds 0,1,2 shows the spread."
    }

    private var ranking: Markup {
        let all = settings.flatMap(\.accuracies)
        let (low, high) = (all.min() ?? 0, all.max() ?? 1)
        let rows = settings.enumerated().map { rank, setting -> Markup in
            let spread = setting.spread.map { " ± \(Wording.points($0))" } ?? ""
            return """
                <tr><td>\(rank + 1)</td>\(setting.values.map { Markup("<td class=\"name\">\($0)</td>") })\
                <td class="n">\(setting.mean.map { Wording.percent($0) } ?? "–")\(spread)</td>\
                <td class="spare">\(dots(setting, low, high))</td>\
                <td class="n">\(setting.loss.map { Wording.loss($0) } ?? "–")</td>\
                <td class="n">\(Wording.duration(setting.seconds))</td></tr>

                """
        }
        return """
            <div class="scroll"><table class="wide"><thead><tr><th></th>\(axes.map { Markup("<th>\($0)</th>") })\
            <th class="n">accuracy</th><td class="spare"></td><th class="n">loss</th><th class="n">time</th></tr></thead>\
            <tbody>
            \(rows)</tbody></table></div>
            """
    }

    /// The runs of a setting on a line that is the same for all.
    private func dots(_ setting: Sweep.Setting, _ low: Double, _ high: Double) -> Markup {
        let marks = setting.accuracies.map { accuracy -> Markup in
            let at = high > low ? (accuracy - low) / (high - low) : 0.5
            return "<circle class=\"c-dot\" cx=\"\(String(format: "%.1f", 6 + 128 * at))\" cy=\"8\" r=\"4\"/>"
        }
        return """
            <svg class="chart dots" viewBox="0 0 140 16" width="140" height="16" aria-hidden="true">\
            <line class="c-grid" x1="2" x2="138" y1="8" y2="8"/>\(marks)</svg>
            """
    }

    // MARK: - Charts

    private var charts: [LineChart] { [accuracyChart] + (rateChart.map { [$0] } ?? []) }

    /// Beyond these, lines hide each other.
    private static let lineCount = 12

    private var curveNote: Markup {
        let left = settings.count > SweepResult.lineCount
        return """
            Validation accuracy, mean over seeds; the best setting in colour.\
            \(left ? " The \(SweepResult.lineCount) best of \(settings.count) settings are drawn." : "")
            """
    }

    private var accuracyChart: LineChart {
        let lines = settings.prefix(SweepResult.lineCount).enumerated().map { rank, setting in
            let length = setting.trials.map(\.history.count).max() ?? 0
            let points = (0..<length).map { epoch -> LineChart.Point in
                let values = setting.trials.compactMap { trial in
                    epoch < trial.history.count ? trial.history[epoch].val.accuracy : nil
                }
                return LineChart.Point(Double(epoch + 1), values.reduce(0, +) / Double(values.count))
            }
            return LineChart.Series(rank == 0 ? "best" : "others", rank == 0 ? .accent : .quiet, points)
        }
        return LineChart("Validation accuracy", xTitle: "epoch", y: .percent, series: lines.reversed())
    }

    /// Accuracy against the learning rate, when at least three were tried.
    private var rateChart: LineChart? {
        guard let axis = axes.firstIndex(of: "lr"), Set(settings.map { $0.values[axis] }).count >= 3 else { return nil }
        func others(_ setting: Sweep.Setting) -> [String] {
            setting.values.enumerated().filter { $0.offset != axis }.map(\.element)
        }
        let best = settings.first.map(others)
        let groups = Dictionary(grouping: settings.filter { $0.mean != nil }, by: others)
        let lines = groups.sorted { $0.key.joined() < $1.key.joined() }.map { key, members in
            let points = members.compactMap { setting -> LineChart.Point? in
                guard let rate = Double(setting.values[axis]), let mean = setting.mean else { return nil }
                return LineChart.Point(rate, mean)
            }
            return LineChart.Series(
                key == best ? "best" : "others", key == best ? .accent : .quiet, points.sorted { $0.x < $1.x })
        }
        return LineChart(
            "Accuracy by learning rate", xTitle: "learning rate", x: .logarithmic, y: .percent,
            series: lines.sorted { $0.tone == .quiet && $1.tone == .accent })
    }

    // MARK: - End

    private var failures: Markup {
        let rows = settings.flatMap { setting -> [Markup] in
            setting.trials.compactMap { trial -> Markup? in
                trial.failure.map { Markup("<li>\(words(setting)), seed \(String(trial.seed)): \($0)</li>") }
            }
        }
        return rows.isEmpty ? "" : "<ul>\(rows)</ul>"
    }

    private var repeatSection: Markup {
        guard let winner, let command = try? winner.settings.command() else { return "" }
        return "<pre><code>\(command)</code></pre>"
    }
}
