import NN
import Optim
import Vision

extension RunSettings {
    /// Normalisation from a preset's name or from numbers: `imagenet`, `0.5/0.25`, `0.5,0.5,0.5/0.2,0.2,0.2`.
    public static func parseNormalization(_ text: String) throws -> Normalization {
        if let preset = Normalization.presets.first(where: { $0.name == text }) { return preset.value }
        let halves = text.split(separator: "/", omittingEmptySubsequences: false).map { half in
            half.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
        }
        guard halves.count == 2, !halves.joined().contains(nil) else {
            let names = Normalization.presets.map(\.name).joined(separator: ", ")
            throw SettingError(
                "--normalize",
                "'\(text)' is neither a preset (\(names)) nor numbers MEAN/STD such as 0.5,0.5,0.5/0.2,0.2,0.2"
                    + suggestion(for: text, among: Normalization.presets.map(\.name)))
        }
        do {
            return try Normalization(mean: halves[0].compactMap { $0 }, std: halves[1].compactMap { $0 })
        } catch {
            throw SettingError("--normalize", "'\(text)': \(error)")
        }
    }

    /// The schedule, stepped once per epoch: `step:7:0.1`, `multistep:10,20:0.1`, `cosine`, `onecycle`, `constant`, each
    /// optionally after `warmup:5+`.
    public func makeSchedule() throws -> any Schedule {
        let option = "--schedule"
        func parse(_ text: Substring, epochs: Int) throws -> any Schedule {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            switch (parts[0], parts.count) {
            case ("constant", 1): return ConstantLR()
            case ("cosine", 1): return CosineAnnealingLR(period: max(epochs, 1))
            case ("onecycle", 1):
                guard epochs > 1 else {
                    throw SettingError(option, "onecycle needs at least 2 epochs, after a warm-up too")
                }
                return OneCycleLR(totalSteps: epochs)
            case ("step", 1...3):
                let size = parts.count > 1 ? Int(parts[1]) : 7
                let gamma = parts.count > 2 ? Double(parts[2]) : 0.1
                guard let size, size > 0, let gamma, gamma > 0, gamma.isFinite else { break }
                return StepLR(stepSize: size, gamma: gamma)
            case ("multistep", 2...3):
                let milestones = parts[1].split(separator: ",").map { Int($0) }
                let gamma = parts.count > 2 ? Double(parts[2]) : 0.1
                guard !milestones.isEmpty, !milestones.contains(nil), let gamma, gamma > 0, gamma.isFinite else {
                    break
                }
                return MultiStepLR(milestones: milestones.compactMap { $0 }, gamma: gamma)
            default: break
            }
            throw SettingError(
                option,
                "'\(schedule)' is not a schedule; expected constant, step:EPOCHS:FACTOR, "
                    + "multistep:E1,E2:FACTOR, cosine, onecycle, or warmup:EPOCHS+ before one of them"
                    + suggestion(
                        for: String(schedule.prefix { $0 != ":" }),
                        among: ["constant", "step", "multistep", "cosine", "onecycle", "warmup"]))
        }
        let pieces = schedule.split(separator: "+", maxSplits: 1)
        if pieces.count == 2, pieces[0].hasPrefix("warmup:"), let steps = Int(pieces[0].dropFirst(7)),
            SettingRange.epochs.contains(steps)
        {
            return LinearWarmup(steps: steps, then: try parse(pieces[1], epochs: epochs - steps))
        }
        return try parse(schedule[...], epochs: epochs)
    }

    /// Patterns by the epoch at whose start they join.
    func unfreezingSteps() throws -> [Int: [String]] {
        var steps: [Int: [String]] = [:]
        for text in unfreezeAt {
            let parts = text.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let epoch = Int(parts[0]) else {
                throw SettingError("--unfreeze-at", "'\(text)' is not EPOCH:PATTERN such as 5:layer4")
            }
            guard epoch >= 2 else {
                throw SettingError(
                    "--unfreeze-at", "'\(text)': layers join from epoch 2 on; --unfreeze is for the first epoch")
            }
            guard epoch <= epochs else {
                throw SettingError("--unfreeze-at", "'\(text)': there is no epoch \(epoch), --epochs is \(epochs)")
            }
            steps[epoch, default: []].append(String(parts[1]))
        }
        return steps
    }
}
