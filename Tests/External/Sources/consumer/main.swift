// Load, train, export, from outside: consumer MODEL.onnx PICTURES OUTPUT.onnx
import FineTune

let arguments = CommandLine.arguments
guard arguments.count == 4 else { throw SettingError("usage", "consumer MODEL.onnx PICTURES OUTPUT.onnx") }

let model = try ImportedModel(path: arguments[1])
let data = try DatasetSplit.imageFolder(arguments[2])
var random = RandomSource(seed: 0)
try model.replaceHead(classes: data.classes.count, using: &random)
try model.module.unfreeze(matching: ["fc"])
model.module.train()

let transform = try Transform(
    mode: .grayscale, [Resize(shorterSide: 32)], normalization: Normalization(mean: [0.305], std: [0.327]))
let loader = try BatchLoader(data.train, transform: transform, configuration: .init(batchSize: 16, shuffle: true))
let criterion = CrossEntropyLoss()
let optimizer = try SGD(model.module.parameters(), learningRate: 0.05, momentum: 0.9)
for epoch in 0..<3 {
    let batches = loader.epoch(epoch)
    while let batch = try batches.next() {
        optimizer.zeroGrad()
        try criterion(model.module(Tensor(batch.images)), batch.labels).backward()
        try optimizer.step()
    }
}
try model.write(to: arguments[3])

let written = try ImportedModel(path: arguments[3])
written.module.eval()
var correct = 0
let batches = try BatchLoader(data.val, transform: transform, configuration: .init(batchSize: 16)).epoch(0)
while let batch = try batches.next() {
    let logits = try noGrad { try written.module(Tensor(batch.images)) }
    correct += zip(logits.max(dim: 1).indices.integers(), batch.labels).count { $0 == $1 }
}
print(correct * 10 > data.val.count * 8 ? "trained and exported" : "only \(correct) of \(data.val.count) correct")
