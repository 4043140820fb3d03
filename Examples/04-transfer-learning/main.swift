// PyTorch's transfer-learning tutorial on an imported model: a ResNet that knows the digits 0 to 4 learns 5 to 9.
//
//     04-transfer-learning [FOLDER WITH resnet-tiny.onnx AND resnet-tiny-data]
import FineTune
import Foundation

enum Phase: CaseIterable { case train, val }

/// Trains and returns the best validation accuracy; the model ends with the weights that reached it.
@MainActor func trainModel(
    _ model: Module, criterion: CrossEntropyLoss, optimizer: Optimizer, scheduler: LearningRateScheduler,
    loaders: [Phase: BatchLoader], epochs: Int
) throws -> Double {
    var bestWeights = model.stateDict()
    var bestAccuracy = 0.0
    for epoch in 0..<epochs {
        for phase in Phase.allCases {
            guard let loader = loaders[phase] else { continue }
            model.train(phase == .train)
            var runningLoss = 0.0
            var runningCorrects = 0
            let batches = loader.epoch(epoch)
            while let batch = try batches.next() {
                optimizer.zeroGrad()
                // Operations are recorded while training only.
                try setGradEnabled(phase == .train) {
                    let outputs = try model(Tensor(batch.images))
                    let predictions = outputs.max(dim: 1).indices.integers()
                    let loss = try criterion(outputs, batch.labels)
                    if phase == .train {
                        try loss.backward()
                        try optimizer.step()
                    }
                    runningLoss += loss.item() * Double(batch.count)
                    runningCorrects += zip(predictions, batch.labels).count { $0 == $1 }
                }
            }
            if phase == .train { try scheduler.step() }
            let size = Double(loader.dataset.count)
            let accuracy = Double(runningCorrects) / size
            let line = "epoch \(epoch) \(phase): loss \(runningLoss / size), accuracy \(accuracy)\n"
            FileHandle.standardError.write(Data(line.utf8))
            if phase == .val && accuracy > bestAccuracy {
                bestAccuracy = accuracy
                bestWeights = model.stateDict()
            }
        }
    }
    try model.load(stateDict: bestWeights)
    return bestAccuracy
}

let folder = CommandLine.arguments.dropFirst().first ?? "../models"
let model = try ImportedModel(path: "\(folder)/resnet-tiny.onnx")
let network = model.module

// Everything arrives frozen. The new head is fresh, and the only thing that learns.
let data = try DatasetSplit.imageFolder("\(folder)/resnet-tiny-data")
var random = RandomSource(seed: 0)
let head = try model.replaceHead(classes: data.classes.count, using: &random)
print("classes \(data.classes), head \(head.path) [\(head.newClasses), \(head.inFeatures)]")
let trainable = network.namedParameters().filter(\.parameter.requiresGrad).map(\.name)
print("trainable:", trainable.joined(separator: " "))

let transform = try Transform(
    mode: .grayscale, [Resize(shorterSide: 32)], normalization: Normalization(mean: [0.305], std: [0.327]))
let loaders: [Phase: BatchLoader] = [
    .train: try BatchLoader(data.train, transform: transform, configuration: .init(batchSize: 4, shuffle: true)),
    .val: try BatchLoader(data.val, transform: transform, configuration: .init(batchSize: 4)),
]

let before = network.stateDict()
let optimizer = try SGD(network.parameters(), learningRate: 0.01, momentum: 0.9)
let scheduler = LearningRateScheduler(optimizer, StepLR(stepSize: 7, gamma: 0.1))
let best = try trainModel(
    network, criterion: CrossEntropyLoss(), optimizer: optimizer, scheduler: scheduler, loaders: loaders, epochs: 5)
print("more than nine of ten validation pictures right:", best > 0.9)

for (name, value) in network.stateDict() where !(before[name].map(value.isBitIdentical) ?? false) {
    print("changed:", name)
}
