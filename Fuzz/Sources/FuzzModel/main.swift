import CLibFuzzer
import FineTune
import Foundation

/// A model file: scan, unpack, validate, write it again, import it, run it on a tiny picture.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: data, count: count)
    var limits = LoadLimits()
    limits.structureBytes = 16 << 20
    // The folder does not exist: external data is parsed and refused, no file is opened.
    guard let file = try? ModelFile(bytes: FileBytes(input, path: "/nonexistent/fuzz.onnx"), limits: limits) else {
        return 0
    }
    writeUnchanged(file, input)
    writeChanged(file, limits)
    run(file)
    return 0
}

/// Whatever is read must be written as it was.
func writeUnchanged(_ file: ModelFile, _ input: UnsafeBufferPointer<UInt8>) {
    for tensor in file.model.graph.initializers {
        guard !tensor.isExternal else { return }
        guard let array = try? tensor.array() else { continue }
        _ = array.withUnsafeBytes { $0.reduce(0 as UInt8, ^) }
    }
    guard let same = try? file.serialized() else { return }
    precondition(same.elementsEqual(input), "a model written without edits differs from the one that was read")
}

/// A tensor that was replaced must read back.
func writeChanged(_ file: ModelFile, _ limits: LoadLimits) {
    let replaceable = file.model.graph.initializers.first { tensor in
        tensor.dataType == .float && ((try? tensor.array())?.count ?? 0) > 0
    }
    guard let tensor = replaceable, let shape = try? tensor.shape() else { return }
    let new = NDArray.full(shape, 0.25)
    let edits = ModelEdits(tensors: [tensor.name: new], metadata: ["fuzz": "1"])
    guard let written = try? file.serialized(edits: edits) else { return }
    guard let copy = try? ModelFile(bytes: FileBytes(written, path: "/nonexistent/copy.onnx"), limits: limits),
        let read = copy.model.graph.initializers.first(where: { $0.name == tensor.name })
    else { preconditionFailure("a written model does not read back") }
    precondition((try? read.array().isBitIdentical(to: new)) == true, "a written tensor does not read back")
}

/// Import and one forward, as a plan on arrays and as modules on tensors; models that make large values are left alone.
func run(_ file: ModelFile) {
    guard let model = try? ImportedModel(file: file, imageSize: (8, 8)) else { return }
    let graph = model.module.graph
    var inputs: [ValueID: ValueInfo] = [:]
    for id in graph.inputs {
        guard let declared = graph.values[id].declared else { return }
        let shape = declared.dimensions.map { if case .fixed(let size) = $0 { size } else { 2 } }
        guard isSmall(shape) else { return }
        inputs[id] = ValueInfo(declared.dtype, shape)
    }
    guard let infos = try? graph.infer(inputs), infos.allSatisfy({ $0.map { isSmall($0.shape) } ?? true }) else {
        return
    }
    let given = inputs.mapValues { NDArray.ones($0.shape, dtype: $0.dtype) }
    let named = Dictionary(given.map { (graph.values[$0.key].name, $0.value) }, uniquingKeysWith: { first, _ in first })
    _ = try? graph.run(named: named, source: "fuzz")
    guard let input = graph.inputs.first, let picture = given[input], graph.inputs.count == 1 else { return }
    _ = try? noGrad { try model.module(Tensor(picture)) }
}

func isSmall(_ shape: [Int]) -> Bool {
    shape.allSatisfy { 0...1 << 16 ~= $0 } && shape.reduce(1) { min($0 * $1, 1 << 20) } <= 1 << 16
}

exit(ft_run_fuzzer(CommandLine.argc, CommandLine.unsafeArgv))
