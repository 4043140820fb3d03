import Foundation
import Safetensors
import TensorCore
import TestSupport

/// Random expression graphs with PyTorch's values, gradients and Hessian-vector products.
///
/// Made by `scripts/make_autograd_goldens.py`; the format is described in `Tests/Fixtures/autograd/programs.json`.
struct GoldenPrograms: Sendable {
    struct Program: Decodable, Sendable {
        struct Input: Decodable, Sendable {
            let shape: [Int]
            let grad: Bool
        }
        struct Operation: Decodable, Sendable {
            let op: String
            let args: [Int]
            let attrs: Attributes?
        }
        let name: String
        let inputs: [Input]
        let ops: [Operation]
        /// Number of the value to compare as a tensor.
        let watch: Int
        /// Number of the scalar result.
        let output: Int
        let order: Int
    }

    struct Attributes: Decodable, Sendable {
        var scalar: Double?
        var reverse: Bool?
        var dim: Dimensions?
        var keepdim: Bool?
        var shape: [Int]?
        var dims: [Int]?
        var dim0: Int?
        var dim1: Int?
        var start: Int?
        var end: Int?
        var size: Int?
        var index: Int?
        var stride: [Int]?
        var padding: [Int]?
        var dilation: [Int]?
        var groups: Int?
        var kernelSize: [Int]?
        var countIncludePad: Bool?
        var training: Bool?
        var eps: Double?
        var correction: Int?
        var min: Double?
        var max: Double?
        var target: [Int]?
        var labelSmoothing: Double?
    }

    /// One axis or several.
    enum Dimensions: Decodable, Sendable {
        case one(Int)
        case several([Int])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            self = try (try? container.decode(Int.self)).map { .one($0) } ?? .several(container.decode([Int].self))
        }

        var list: [Int] {
            switch self {
            case .one(let dim): [dim]
            case .several(let dims): dims
            }
        }
    }

    private struct Document: Decodable { let programs: [Program] }

    let programs: [Program]
    private let tensors: SafetensorsFile

    init() throws {
        let folder = TestFiles.fixtures.appendingPathComponent("autograd")
        let data = try Data(contentsOf: folder.appendingPathComponent("programs.json"))
        programs = try JSONDecoder().decode(Document.self, from: data).programs
        tensors = try SafetensorsFile(path: folder.appendingPathComponent("programs.safetensors").path)
    }

    func tensor(_ program: Program, _ key: String) throws -> NDArray {
        try tensors.tensor(named: "\(program.name)/\(key)")
    }
}
