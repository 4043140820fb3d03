import Autograd
import Foundation
import NN
import Optim
import Safetensors
import TensorCore
import TestSupport
import Testing

/// Fifty steps of every optimizer and schedule against PyTorch's, stored by `scripts/make_optimizer_goldens.py`.
@Suite struct TrajectoryTests {
    @Test func goldensAreThere() { #expect(Trajectory.all.count == 27) }

    @Test(arguments: Trajectory.all)
    func equalsPyTorch(run: Trajectory) throws {
        let golden = try SafetensorsFile(
            path: Trajectory.folder.appendingPathComponent("trajectories.safetensors").path)
        func values(_ key: String) throws -> NDArray { try golden.tensor(named: "\(run.name)/\(key)") }
        for dtype in [DType.float64, .float32] {
            let suffix = dtype == .float32 ? "32" : ""
            let tolerance = dtype == .float32 ? 1e-5 : 1e-11
            let (weights, biases) = (try values("weight" + suffix), try values("bias" + suffix))
            let x = try golden.tensor(named: "x").converted(to: dtype)
            let y = try golden.tensor(named: "y").integers()
            let model = try Linear(
                weight: Parameter(weights.rows(0..<1).reshaped([3, 4])),
                bias: Parameter(biases.rows(0..<1).reshaped([3])))
            let optimizer = try run.makeOptimizer(model)
            let scheduler = try run.schedule.map { LearningRateScheduler(optimizer, try run.makeSchedule($0)) }
            let criterion = CrossEntropyLoss()
            var (ownWeights, ownBiases): ([Double], [Double]) = ([], [])
            var (rates, momenta, norms): ([Double], [Double], [Double]) = ([], [], [])
            for step in 0..<50 {
                let start = 5 * step % 20
                optimizer.zeroGrad()
                try criterion(model(Tensor(x.rows(start..<start + 5))), Array(y[start..<start + 5])).backward()
                if let clip = run.clip {
                    norms.append(
                        try clipGradientNorm(
                            model.parameters(), maxNorm: clip.maxNorm, norm: clip.isMaximum ? .maximum : .euclidean))
                }
                rates += optimizer.groups.map(\.learningRate)
                momenta += optimizer.groups.map(\.momentum)
                try optimizer.step()
                try scheduler?.step()
                ownWeights += model.weight.array.doubles()
                ownBiases += model.bias?.array.doubles() ?? []
            }
            expectClose(ownWeights, weights.rows(1..<51), tolerance, "\(run.name) weight \(dtype)")
            expectClose(ownBiases, biases.rows(1..<51), tolerance, "\(run.name) bias \(dtype)")
            expectClose(rates, try values("lr"), 1e-12, "\(run.name) rates")
            if golden.names.contains("\(run.name)/momentum") {
                expectClose(momenta, try values("momentum"), 1e-12, "\(run.name) momenta")
            }
            if run.clip != nil { expectClose(norms, try values("norm"), tolerance, "\(run.name) norms") }
        }
    }

    /// Largest difference relative to the largest golden value.
    private func expectClose(_ own: [Double], _ golden: NDArray, _ tolerance: Double, _ what: String) {
        let error = relativeError(NDArray(own, shape: golden.shape), golden.converted(to: .float64))
        #expect(error <= tolerance, "\(what): relative error \(error)")
    }
}

/// One run of the fixture's description.
struct Trajectory: Sendable, CustomTestStringConvertible {
    struct Clip: Sendable {
        let maxNorm: Double
        let isMaximum: Bool
    }

    let name: String
    let optimizer: Settings
    let groups: [Settings]
    let schedule: Settings?
    let clip: Clip?

    var testDescription: String { name }

    static let folder = TestFiles.fixtures.appendingPathComponent("optim")

    static let all: [Trajectory] = {
        guard let data = try? Data(contentsOf: folder.appendingPathComponent("trajectories.json")),
            let json = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            let runs = json["runs"] as? [[String: Any]]
        else { return [] }
        return runs.map(Trajectory.init)
    }()

    private init(_ json: [String: Any]) {
        name = json["name"] as? String ?? ""
        optimizer = Settings(json["optimizer"] as? [String: Any] ?? [:])
        groups = (json["groups"] as? [[String: Any]] ?? []).map(Settings.init)
        schedule = (json["schedule"] as? [String: Any]).map(Settings.init)
        clip = (json["clip"] as? [String: Any]).map { clip in
            Clip(maxNorm: clip["maxNorm"] as? Double ?? .nan, isMaximum: clip["normType"] is String)
        }
    }

    /// Arguments under PyTorch's names.
    struct Settings: Sendable {
        private let numbers: [String: [Double]]
        private let words: [String: [String]]

        init(_ json: [String: Any]) {
            numbers = json.compactMapValues { value in (value as? Double).map { [$0] } ?? value as? [Double] }
            words = json.compactMapValues { value in (value as? String).map { [$0] } ?? value as? [String] }
        }

        var type: String { words["type"]?.first ?? "" }
        func names(_ key: String) -> [String] { words[key] ?? [] }
        func word(_ key: String) -> String? { words[key]?.first }
        func list(_ key: String) -> [Double]? { numbers[key] }
        func number(_ key: String) -> Double? { numbers[key]?.first }
        func number(_ key: String, _ fallback: Double) -> Double { number(key) ?? fallback }
        /// JSON's true reads as 1.
        func flag(_ key: String) -> Bool { number(key) == 1 }
    }

    func makeOptimizer(_ model: Linear) throws -> Optimizer {
        let groups = groups.map { group in
            ParameterGroup(
                group.names("parameters").compactMap(model.parameter), learningRate: group.number("lr"),
                weightDecay: group.number("weight_decay"), momentum: group.number("momentum"))
        }
        let rate = optimizer.number("lr", 1e-3)
        let betas = optimizer.list("betas") ?? [0.9, 0.999]
        let epsilon = optimizer.number("eps", 1e-8)
        switch optimizer.type {
        case "SGD":
            return try SGD(
                groups, learningRate: rate, momentum: optimizer.number("momentum", 0),
                dampening: optimizer.number("dampening", 0), weightDecay: optimizer.number("weight_decay", 0),
                nesterov: optimizer.flag("nesterov"))
        case "Adam":
            return try Adam(
                groups, learningRate: rate, betas: (betas[0], betas[1]), epsilon: epsilon,
                weightDecay: optimizer.number("weight_decay", 0), amsgrad: optimizer.flag("amsgrad"))
        case "AdamW":
            return try AdamW(
                groups, learningRate: rate, betas: (betas[0], betas[1]), epsilon: epsilon,
                weightDecay: optimizer.number("weight_decay", 0.01), amsgrad: optimizer.flag("amsgrad"))
        default: throw UnknownType(name: optimizer.type)
        }
    }

    func makeSchedule(_ schedule: Settings) throws -> any Schedule {
        func integer(_ key: String) -> Int { Int(schedule.number(key, 0)) }
        switch schedule.type {
        case "StepLR": return StepLR(stepSize: integer("step_size"), gamma: schedule.number("gamma", 0.1))
        case "MultiStepLR":
            return MultiStepLR(
                milestones: (schedule.list("milestones") ?? []).map { Int($0) }, gamma: schedule.number("gamma", 0.1))
        case "CosineAnnealingLR":
            return CosineAnnealingLR(period: integer("T_max"), minimum: schedule.number("eta_min", 0))
        case "LinearLR":
            return LinearWarmup(steps: integer("total_iters"), startFactor: schedule.number("start_factor", 1.0 / 3))
        case "warmupCosine":
            return LinearWarmup(
                steps: integer("total_iters"), startFactor: schedule.number("start_factor", 1.0 / 3),
                then: CosineAnnealingLR(period: integer("T_max")))
        case "OneCycleLR":
            var cycle = OneCycleLR(totalSteps: integer("total_steps"), maximum: schedule.number("max_lr"))
            cycle.risingFraction = schedule.number("pct_start", cycle.risingFraction)
            cycle.divFactor = schedule.number("div_factor", cycle.divFactor)
            cycle.finalDivFactor = schedule.number("final_div_factor", cycle.finalDivFactor)
            cycle.threePhase = schedule.flag("three_phase")
            if schedule.word("anneal_strategy") == "linear" { cycle.annealing = .linear }
            if schedule.number("cycle_momentum") == 0 { cycle.momentumRange = nil }
            return cycle
        default: throw UnknownType(name: schedule.type)
        }
    }

    struct UnknownType: Error { let name: String }
}
