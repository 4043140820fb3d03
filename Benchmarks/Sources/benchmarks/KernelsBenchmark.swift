import ArgumentParser
import FineTune
import Foundation

/// Convolutions of ResNet-18 and of mobile networks: forward with weights packed once, and both gradients, in GFLOP/s of the
/// direct convolution's arithmetic (Winograd does less of it and may exceed what the processor can do).
struct KernelsBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Convolutions by shape: algorithm, forward and gradients.")

    @Option(help: "Pictures at a time.") var batchSize = 8
    @Option(help: "Calls that are timed; the fastest counts.") var repeats = 7
    @Option(help: "CPU threads; 0 means all.") var threads = 0

    private struct Layer {
        var name: String
        var channels: Int, outputs: Int, side: Int, kernel: Int, stride: Int
        var groups = 1
    }

    private static let layers = [
        Layer(name: "resnet stem", channels: 3, outputs: 64, side: 224, kernel: 7, stride: 2),
        Layer(name: "resnet layer1", channels: 64, outputs: 64, side: 56, kernel: 3, stride: 1),
        Layer(name: "resnet layer2.0", channels: 64, outputs: 128, side: 56, kernel: 3, stride: 2),
        Layer(name: "resnet layer2.0 shortcut", channels: 64, outputs: 128, side: 56, kernel: 1, stride: 2),
        Layer(name: "resnet layer2", channels: 128, outputs: 128, side: 28, kernel: 3, stride: 1),
        Layer(name: "resnet layer3", channels: 256, outputs: 256, side: 14, kernel: 3, stride: 1),
        Layer(name: "resnet layer4", channels: 512, outputs: 512, side: 7, kernel: 3, stride: 1),
        Layer(name: "bottleneck", channels: 256, outputs: 64, side: 56, kernel: 1, stride: 1),
        Layer(name: "depthwise", channels: 96, outputs: 96, side: 56, kernel: 3, stride: 1, groups: 96),
    ]

    func run() throws {
        Parallel.setThreadCount(threads)
        print("\(Kernels.summary); batch \(batchSize); GFLOP/s")
        print("layer                     forward  grad input  grad weight  algorithm")
        for layer in Self.layers { try measure(layer) }
    }

    private func measure(_ layer: Layer) throws {
        var random = RandomSource(seed: 0)
        let geometry = ConvolutionGeometry(stride: layer.stride, padding: layer.kernel / 2, groups: layer.groups)
        let x = try NDArray.randomNormal([batchSize, layer.channels, layer.side, layer.side], from: &random)
        let w = try NDArray.randomNormal(
            [layer.outputs, layer.channels / layer.groups, layer.kernel, layer.kernel], from: &random)
        let packed = try PackedConvolution(weight: w, geometry: geometry, inputShape: x.shape)
        let g = try NDArray.randomNormal(packed.outputShape, from: &random)
        let work = 2 * Double(packed.outputShape.reduce(1, *)) * Double(w.shape.dropFirst().reduce(1, *))
        func rate(_ body: () throws -> Void) rethrows -> Double {
            try work / Timing.of(repeats: repeats, body).best / 1e9
        }
        let blocked = try BlockedConvolution(geometry: geometry, inputShape: x.shape, weightShape: w.shape)
        let rates: [Double]
        if let blocked {
            rates = try blockedRates(x, w, g, packed, blocked, rate)
        } else {
            rates = [
                try rate { _ = try packed(x) },
                try rate { _ = try convolutionInputGradient(g, w, inputShape: x.shape, geometry: geometry) },
                try rate { _ = try convolutionWeightGradient(x, g, weightShape: w.shape, geometry: geometry) },
            ]
        }
        let name = layer.name.padding(toLength: 24, withPad: " ", startingAt: 0)
        print(name + String(format: "%9.0f %11.0f %12.0f  ", rates[0], rates[1], rates[2]) + packed.algorithm)
    }

    /// With images laid out as they are inside a network: blocked, but for the picture.
    private func blockedRates(
        _ x: NDArray, _ w: NDArray, _ g: NDArray, _ packed: PackedConvolution, _ blocked: BlockedConvolution,
        _ rate: (() throws -> Void) throws -> Double
    ) throws -> [Double] {
        let layout: ImageLayout = packed.readsBlocked && !blocked.prefersPlanarInput ? .blocked : .planar
        let (input, output) = (BlockedImages(x, layout), BlockedImages(g, .blocked))
        let result = BlockedImages(g, .blocked), gradient = BlockedImages(x, .blocked)
        return [
            try rate {
                packed.run(
                    batch: batchSize, input: input.address, inputLayout: layout, output: result.address,
                    outputLayout: packed.writesBlocked ? .blocked : .planar)
            },
            try rate { blocked.inputGradient(output.address, weight: w, adding: false, into: gradient.address) },
            try rate { _ = blocked.weightGradient(input.address, layout, output.address) },
        ]
    }
}

/// Memory of images in a layout.
private struct BlockedImages {
    private let storage: Storage
    var address: UnsafeMutablePointer<Float> { storage.pointer.assumingMemoryBound(to: Float.self) }

    init(_ images: NDArray, _ layout: ImageLayout) {
        let (batch, channels, positions) = (images.shape[0], images.shape[1], images.shape[2] * images.shape[3])
        storage = Storage(
            byteCount: 4 * batch * layout.elementsPerImage(channels: channels, positions: positions))
        images.withElements(as: Float.self) { source in
            guard let from = source.baseAddress else { return }
            switch layout {
            case .planar: address.update(from: from, count: source.count)
            case .blocked: blockChannels(from, images: batch, channels: channels, positions: positions, into: address)
            }
        }
    }
}
