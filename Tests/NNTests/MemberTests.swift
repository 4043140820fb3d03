import Autograd
import NN
import Operators
import TensorCore
import Testing

/// What modules say about members, and copies of them.
@Suite struct MemberTests {
    private final class ForgetsALayer: Module {
        let a = Linear(2, 2)
        let b = Linear(2, 2)
        override var members: Members { ["a": a] }
        override func forward(_ x: Tensor) throws -> Tensor { try b(a(x)) }
    }

    private final class ForgetsAParameter: Module {
        let scale = Parameter([2, 3])
        override func forward(_ x: Tensor) throws -> Tensor { x * scale }
    }

    private final class MakesOneForACall: Module {
        let a = Linear(2, 2)
        override var members: Members { ["a": a] }
        override func forward(_ x: Tensor) throws -> Tensor { try ReLU()(a(x)) }
    }

    @Test func forgottenMembersAreTold() throws {
        let x = Tensor([[1, 2]])
        for module in [ForgetsALayer(), ForgetsAParameter()] {
            let error = #expect(throws: ModuleError.self) { _ = try module(x) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("members"))
        }
        #expect(throws: ModuleError.self) { try noGrad { _ = try ForgetsALayer()(x) } }
        let fine = MakesOneForACall()
        for _ in 0..<2 { _ = try fine(x) }
    }

    @Test func copiesShareNothing() throws {
        let net = Sequential(Linear(3, 4), BatchNorm1d(4), ReLU(), Dropout(0.5), Linear(4, 2))
        try net[0].freeze()
        net.eval()
        let twin = try net.copy()
        #expect(twin.parameters().map(\.requiresGrad) == net.parameters().map(\.requiresGrad) && !twin.isTraining)
        let x = Tensor.randn(5, 3, seed: 1)
        #expect(try twin(x).array.isBitIdentical(to: net(x).array))
        try noGrad { _ = try twin.parameters()[0].zero_() }
        #expect(net.parameters()[0].array.doubles().contains { $0 != 0 })
    }
}
