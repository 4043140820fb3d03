// A module of your own: list what it is made of, say what it computes.
import FineTune

/// x + fc2(relu(fc1(x))), scaled by a learned number.
final class ResidualBlock: Module {
    let fc1: Linear
    let fc2: Linear
    let scale = Parameter([1])

    init(_ width: Int) {
        fc1 = Linear(width, width)
        fc2 = Linear(width, width)
    }

    override var members: Members { ["fc1": fc1, "fc2": fc2, "scale": scale] }

    override func forward(_ x: Tensor) throws -> Tensor { try x + scale * fc2(fc1(x).relu()) }
}

/// Two inputs, one output, two blocks between.
final class Net: Module {
    let input = Linear(2, 8)
    let blocks = Sequential(ResidualBlock(8), ResidualBlock(8))
    let output = Linear(8, 2)

    override var members: Members { ["input": input, "blocks": blocks, "output": output] }

    override func forward(_ x: Tensor) throws -> Tensor { try output(blocks(input(x).tanh())) }
}

let net = withRandomSeed(1) { Net() }
print(net)
for (name, parameter) in net.namedParameters() { print(name, parameter.shape) }

// Exclusive or: the four corners of a square, which no single line divides.
let corners = Tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
let labels = [0, 1, 1, 0]
let criterion = CrossEntropyLoss()
let optimizer = try Adam(net.parameters(), learningRate: 0.01)
for _ in 0..<200 {
    optimizer.zeroGrad()
    try criterion(net(corners), labels).backward()
    try optimizer.step()
}

net.eval()
let logits = try noGrad { try net(corners) }
print("loss below 0.01:", try criterion(logits, labels).item() < 0.01)
print("predictions:", try logits.array.argMax(axis: 1, keepDims: false).integers())

// The learned values travel by name.
let copy = Net()
try copy.load(stateDict: net.stateDict())
print("the copy computes the same:", try copy(corners).array.isBitIdentical(to: net(corners).array))
