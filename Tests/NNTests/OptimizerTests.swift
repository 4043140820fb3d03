import Autograd
import NN
import Operators
import Optim
import TensorCore
import TestSupport
import Testing

@Suite struct OptimizerTests {
    private func parameter(_ values: [Double], gradient: [Double]? = nil) -> Parameter {
        let parameter = Parameter(NDArray(values))
        parameter.grad = gradient.map { Tensor(NDArray($0)) }
        return parameter
    }

    @Test func groupsHaveTheirOwnRate() throws {
        let (a, b) = (parameter([1], gradient: [1]), parameter([1], gradient: [1]))
        let optimizer = try SGD(
            [ParameterGroup([a], name: "head", learningRate: 0.5), ParameterGroup([b])], learningRate: 0.25)
        #expect(optimizer.groups.map(\.learningRate) == [0.5, 0.25])
        #expect(optimizer.groups.map(\.name) == ["head", nil])
        try optimizer.step()
        #expect(a.array.doubles() == [0.5] && b.array.doubles() == [0.75])
        optimizer.learningRate = 0.125
        try optimizer.step()
        #expect(a.array.doubles() == [0.375] && b.array.doubles() == [0.625])
    }

    @Test func aParameterUnfrozenLaterIsTakenUp() throws {
        let (a, b) = (parameter([1], gradient: [1]), parameter([1], gradient: [1]))
        try b.requiresGrad_(false)
        let optimizer = try SGD([a, b], learningRate: 1)
        #expect(optimizer.groups[0].parameters.count == 1)
        try optimizer.step()
        #expect(b.array.doubles() == [1])
        try b.requiresGrad_()
        try optimizer.step()
        #expect(a.array.doubles() == [-1] && b.array.doubles() == [0])
    }

    @Test func parametersThatWereNeverGivenJoin() throws {
        let (a, b) = (parameter([1], gradient: [1]), parameter([1], gradient: [1]))
        let optimizer = try SGD([a], learningRate: 1)
        #expect(throws: OptimizerError.self) { try optimizer.add(ParameterGroup([a, b])) }
        #expect(try optimizer.add(unfrozen: ParameterGroup([a, b], learningRate: 0.5)) == 1)
        #expect(try optimizer.add(unfrozen: ParameterGroup([a, b])) == 0)
        try optimizer.step()
        #expect(a.array.doubles() == [0] && b.array.doubles() == [0.5])
    }

    @Test func parametersWithoutGradientStayAndKeepTheirState() throws {
        let (a, b) = (parameter([1], gradient: [1]), parameter([1]))
        let optimizer = try Adam([a, b], learningRate: 0.1)
        try optimizer.step()
        #expect(b.array.doubles() == [1])
        #expect(optimizer.stateDict().scalars["state/0/step"] == 1)
        #expect(optimizer.stateDict().scalars["state/1/step"] == 0)
    }

    @Test func aStepWithoutAnyGradientIsAnError() throws {
        let optimizer = try SGD([parameter([1], gradient: [1])], learningRate: 1)
        optimizer.zeroGrad()
        #expect(throws: OptimizerError.noGradients(optimizer: "SGD")) { try optimizer.step() }
    }

    @Test func mistakesAreRefused() throws {
        let p = parameter([1, 2])
        #expect(throws: OptimizerError.duplicateParameter(parameter: "a parameter of shape [2]")) { try SGD([p, p]) }
        #expect(throws: OptimizerError.duplicateParameter(parameter: "a parameter of shape [2]")) {
            try SGD([p]).add(ParameterGroup([p]))
        }
        #expect(throws: OptimizerError.self) { try SGD([p], learningRate: -1) }
        #expect(throws: OptimizerError.self) { try SGD([p], weightDecay: -1) }
        #expect(throws: OptimizerError.self) { try SGD([p], momentum: -0.9) }
        #expect(throws: OptimizerError.self) { try SGD([p], nesterov: true) }
        #expect(throws: OptimizerError.self) { try SGD([p], momentum: 0.9, dampening: 0.1, nesterov: true) }
        #expect(throws: OptimizerError.self) { try Adam([p], betas: (1, 0.9)) }
        #expect(throws: OptimizerError.self) { try AdamW([p], epsilon: -1) }
        let half = Parameter(NDArray.zeros([2], dtype: .float16))
        #expect(throws: OptimizerError.unsupportedType(parameter: "a parameter of shape [2]", dtype: .float16)) {
            try SGD([half])
        }
        p.name = "fc.bias"
        p.grad = Tensor(NDArray([1.0]))
        #expect(
            throws: OptimizerError.gradientMismatch(
                parameter: "parameter 'fc.bias'", expected: "[2] of float64", actual: "[1] of float64")
        ) { try SGD([p]).step() }
    }

    @Test func aStepIsAnInPlaceChangeThatSavedValuesNotice() throws {
        let p = parameter([2])
        let y = p * p
        p.grad = Tensor(NDArray([1.0]))
        try SGD([p], learningRate: 1).step()
        #expect(throws: AutogradError.self) { try y.backward() }
    }

    @Test(arguments: ["sgd", "adam", "amsgrad"])
    func continuingFromAStateEqualsNotStopping(kind: String) throws {
        func make(_ parameters: [Parameter]) throws -> Optimizer {
            switch kind {
            case "sgd": try SGD(parameters, learningRate: 0.1, momentum: 0.9)
            default: try Adam(parameters, learningRate: 0.1, amsgrad: kind == "amsgrad")
            }
        }
        func step(_ optimizer: Optimizer, _ p: Parameter) throws {
            optimizer.zeroGrad()
            try (p * p * p).sum().backward()
            try optimizer.step()
        }
        let whole = parameter([1, -2, 3])
        let first = try make([whole])
        let scheduler = LearningRateScheduler(first, StepLR(stepSize: 2))
        for _ in 0..<3 {
            try step(first, whole)
            try scheduler.step()
        }
        let resumed = Parameter(whole.array)
        let second = try make([resumed])
        let other = LearningRateScheduler(second, StepLR(stepSize: 2))
        try second.load(stateDict: first.stateDict())
        other.state = scheduler.state
        #expect(other.learningRates == scheduler.learningRates && other.learningRates != [0.1])
        for _ in 0..<3 {
            try step(first, whole)
            try step(second, resumed)
            try scheduler.step()
            try other.step()
        }
        #expect(whole.array.isBitIdentical(to: resumed.array))
        #expect(whole.array.doubles() != [1, -2, 3])
    }

    @Test func statesAreKnownByNameAndAForeignOneIsRefused() throws {
        let p = parameter([1], gradient: [1])
        p.name = "fc.bias"
        let optimizer = try Adam([p])
        try optimizer.step()
        let state = optimizer.stateDict()
        #expect(Set(state.arrays.keys) == ["state/fc.bias/exp_avg", "state/fc.bias/exp_avg_sq"])
        let q = parameter([1, 2])
        q.name = "fc.bias"
        let other = try Adam([q])
        #expect(throws: OptimizerError.self) { try other.load(stateDict: state) }
        q.name = "fc.weight"
        #expect(throws: OptimizerError.self) { try other.load(stateDict: state) }
        let two = try Adam([ParameterGroup([parameter([1])]), ParameterGroup([parameter([1])])])
        #expect(throws: OptimizerError.self) { try other.load(stateDict: two.stateDict()) }
        let descent = try SGD([p], momentum: 0.9)
        #expect(throws: OptimizerError.self) { try descent.load(stateDict: state) }
        var broken = state
        broken.scalars["state/fc.bias/step"] = 1e300
        #expect(throws: OptimizerError.self) { try optimizer.load(stateDict: broken) }
    }

    @Test func aRefusedGroupLeavesNothingBehind() throws {
        let optimizer = try SGD([parameter([1])])
        let (good, half) = (parameter([1]), Parameter(NDArray([1]).converted(to: .float16)))
        #expect(throws: OptimizerError.self) { try optimizer.add(ParameterGroup([good, half])) }
        try optimizer.add(ParameterGroup([good]))
        #expect(optimizer.groups.count == 2)
    }

    @Test func anOptimizerOfYourOwn() throws {
        /// p ← p − rate · sign(g).
        final class SignDescent: Optimizer {
            init(_ parameters: [Parameter], learningRate: Double) throws {
                try super.init(
                    [ParameterGroup(parameters)], defaults: Settings(learningRate: learningRate), momentNames: [])
            }
            override func update(
                _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
            ) throws {
                try parameter.addInPlace(gradient.map(.sign), scale: -group.learningRate)
            }
        }
        let p = parameter([1, 1], gradient: [5, -0.1])
        try SignDescent([p], learningRate: 0.5).step()
        #expect(p.array.doubles() == [0.5, 1.5])
    }

    @Test func clippingLeavesSmallGradientsAlone() throws {
        let (p, q) = (parameter([0, 0], gradient: [3, 0]), parameter([0], gradient: [4]))
        let without = parameter([0])
        #expect(try clipGradientNorm([p, q, without], maxNorm: 5.1) == 5)
        #expect(p.grad?.array.doubles() == [3, 0])
        #expect(try clipGradientNorm([p, q, without], maxNorm: 1) == 5)
        #expect(try difference(#require(q.grad).array, NDArray([0.8]), rtol: 1e-6) == nil)
    }

    @Test(arguments: [GradientNorm.euclidean, .maximum]) func clippingWithoutANormSpoilsEveryGradient(
        _ kind: GradientNorm
    ) throws {
        let (p, q) = (parameter([0, 0], gradient: [.nan, 3]), parameter([0], gradient: [4]))
        #expect(try clipGradientNorm([p, q], maxNorm: 1, norm: kind).isNaN)
        #expect(q.grad?.array.item().isNaN == true)
    }

    @Test func onlySchedulesThatMoveTheMomentumChangeIt() throws {
        let optimizer = try SGD([parameter([1])], learningRate: 0.1, momentum: 0.9)
        let scheduler = LearningRateScheduler(optimizer, StepLR(stepSize: 1))
        optimizer.groups[0].momentum = 0.5
        try scheduler.step()
        #expect(optimizer.groups[0].momentum == 0.5)
        _ = LearningRateScheduler(optimizer, OneCycleLR(totalSteps: 4))
        #expect(optimizer.groups[0].momentum == 0.95)
    }

    @Test func aScheduleEnds() throws {
        let optimizer = try SGD([parameter([1])], learningRate: 0.1)
        let scheduler = LearningRateScheduler(optimizer, OneCycleLR(totalSteps: 3))
        for _ in 0..<3 { try scheduler.step() }
        #expect(throws: OptimizerError.scheduleEnded(schedule: "OneCycleLR", length: 3)) { try scheduler.step() }
    }
}
