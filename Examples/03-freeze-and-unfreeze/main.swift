// Which parameters get gradients, and what memory freezing saves.
import FineTune

let model = withRandomSeed(0) {
    Sequential(named: [
        "conv1": Conv2d(3, 16, kernelSize: 3, padding: 1),
        "bn1": BatchNorm2d(16),
        "relu1": ReLU(),
        "conv2": Conv2d(16, 16, kernelSize: 3, padding: 1),
        "bn2": BatchNorm2d(16),
        "relu2": ReLU(),
        "pool": AdaptiveAvgPool2d(1),
        "flatten": Flatten(),
        "fc": Linear(16, 5),
    ])
}
let images = Tensor.randn(8, 3, 32, 32, seed: 1)
let labels = [0, 1, 2, 3, 4, 0, 1, 2]
let criterion = CrossEntropyLoss()

/// One pass forward and backward; prints what was kept for it and which parameters got a gradient.
@MainActor func pass(_ title: String) throws {
    model.zeroGrad()
    let loss = try criterion(model(images), labels)
    print("\(title): \(savedBytes(behind: loss)) bytes kept for backward")
    if loss.requiresGrad {
        try loss.backward()
    } else {
        print("  nothing was recorded: the loss does not require a gradient")
    }
    let names = model.namedParameters().filter { $0.parameter.grad != nil }.map(\.name)
    print("  gradients:", names.isEmpty ? "none" : names.joined(separator: " "))
}

try pass("everything trainable")

try model.freeze()
try pass("everything frozen")

print("unfroze", try model.unfreeze(matching: ["fc"]))
try pass("only fc trainable")

print("unfroze", try model.unfreeze(matching: ["conv2", "bn2"]))
try pass("conv2 and everything after it trainable")

try noGrad { try pass("inside noGrad") }

// The optimizer takes the trainable parameters only: neither momentum nor weight decay moves the others.
let before = model.stateDict()
let optimizer = try SGD(model.parameters(), learningRate: 0.1, momentum: 0.9, weightDecay: 0.01)
for _ in 0..<3 {
    optimizer.zeroGrad()
    try criterion(model(images), labels).backward()
    try optimizer.step()
}
for (name, parameter) in model.namedParameters() {
    let isSame = before[name].map(parameter.array.isBitIdentical) ?? false
    print("  \(name): \(isSame ? "bit-identical" : "moved")")
}

// A name that does not exist is an error, with the nearest ones.
do {
    try model.unfreeze(matching: ["conv3"])
} catch {
    print("error:", error)
}
