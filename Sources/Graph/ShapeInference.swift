import Operators
import TensorCore

extension Graph {
    /// Constants of at most this many elements are computed while inferring, so that shape arithmetic resolves; integers, of
    /// which indices are made, of more.
    private static let foldedElements = (other: 4096, integer: 1 << 16)
    /// Elements that are computed so altogether.
    private static let foldedTotal = 1 << 22

    /// Shape and element type of every value for the given inputs; nil where a node is not reached.
    ///
    /// Values that follow from shapes and small constants alone carry their value. Throws `GraphError` naming the first
    /// node whose operands do not fit.
    public func infer(_ given: [ValueID: ValueInfo]) throws -> [ValueInfo?] {
        let (infos, failure) = inferred(given)
        if let failure { throw failure }
        return infos
    }

    /// As `infer`, up to the first node whose operands do not fit.
    func inferred(_ given: [ValueID: ValueInfo]) -> (infos: [ValueInfo?], failure: GraphError?) {
        var infos = [ValueInfo?](repeating: nil, count: values.count)
        for (id, array) in constants { infos[id] = ValueInfo(array) }
        for (id, info) in given {
            guard Graph.isReasonable(info.shape) else {
                return (
                    infos, GraphError("input '\(values[id].name)'", "has the shape \(info.shape), which is too large")
                )
            }
            infos[id] = info
        }
        var budget = Graph.foldedTotal
        for node in nodes {
            do {
                let inputs = try node.inputs.map { id -> ValueInfo? in
                    guard let id else { return nil }
                    guard let info = infos[id] else {
                        throw GraphError(node.label, "input '\(values[id].name)' has no value")
                    }
                    return info
                }
                for (id, info) in zip(node.outputs, try infer(node, inputs, &budget)) { if let id { infos[id] = info } }
            } catch {
                return (infos, error as? GraphError ?? GraphError(node, error))
            }
        }
        return (infos, nil)
    }

    private func infer(_ node: Node, _ inputs: [ValueInfo?], _ budget: inout Int) throws -> [ValueInfo] {
        let results = try node.op.infer(inputs)
        if let shape = results.map(\.shape).first(where: { !Graph.isReasonable($0) }) {
            throw ShapeError(node.opType, "its result of shape \(shape) is too large")
        }
        let count = results.reduce(0) { min($0 + elementCount($1.shape), 1 << 40) }
        let isInteger = results.allSatisfy { !$0.dtype.isFloatingPoint }
        guard count <= min(isInteger ? Graph.foldedElements.integer : Graph.foldedElements.other, budget),
            zip(inputs, inputs.map { $0?.value }).allSatisfy({ $0 == nil || $1 != nil }), results[0].value == nil
        else { return results }
        budget -= count
        return try node.op.forward(inputs.map { $0?.value }).map { ValueInfo($0) }
    }

    /// False for a shape that no array of `float32` may have, its empty axes aside: within, arithmetic on sizes cannot
    /// overflow.
    static func isReasonable(_ shape: [Int]) -> Bool {
        guard shape.allSatisfy({ $0 >= 0 }) else { return false }
        guard let count = checkedElementCount(shape.map { max($0, 1) }, bytesPerElement: 4) else { return false }
        return count <= ArrayLimit.bytes / 4
    }

    /// The graph's first input that is not a constant: the pictures.
    public func pictureInput() throws -> ValueID {
        guard let input = inputs.first else { throw GraphError("the graph", "has no input") }
        return input
    }

    /// Shapes of the inputs for a batch of `batch`, and pictures of `imageSize` (height, width) where the file leaves them
    /// open or the caller asks for others.
    ///
    /// A batch size fixed in the file is overridden. Throws when a dimension stays unknown.
    public func inputInfos(batch: Int, imageSize: (height: Int, width: Int)? = nil) throws -> [ValueID: ValueInfo] {
        var result: [ValueID: ValueInfo] = [:]
        let pictures = try pictureInput()
        for id in inputs {
            let name = values[id].name
            guard let declared = values[id].declared else {
                throw GraphError("input '\(name)'", "has no declared shape")
            }
            var shape: [Int] = []
            for (axis, dimension) in declared.dimensions.enumerated() {
                if axis == 0 {
                    shape.append(batch)
                } else if id == pictures, let imageSize, let index = spatialAxes(declared).firstIndex(of: axis) {
                    shape.append(index == 0 ? imageSize.height : imageSize.width)
                } else if case .fixed(let size) = dimension {
                    shape.append(size)
                } else {
                    let isSide = id == pictures && spatialAxes(declared).contains(axis)
                    throw GraphError(
                        "input '\(name)'",
                        "dimension \(axis) is not fixed in the file; "
                            + (isSide
                                ? "give it, e.g. --image-size 224"
                                : "only the batch and the height and width of pictures may be left open"))
                }
            }
            result[id] = ValueInfo(declared.dtype, shape)
        }
        return result
    }

    /// True when the picture input is `[N, H, W, C]`, as TensorFlow's converter may leave it.
    public static func isChannelsLast(_ declared: DeclaredType) -> Bool {
        guard declared.dimensions.count == 4 else { return false }
        func isChannels(_ dimension: Dimension) -> Bool { dimension == .fixed(1) || dimension == .fixed(3) }
        return isChannels(declared.dimensions[3]) && !isChannels(declared.dimensions[1])
    }

    private func spatialAxes(_ declared: DeclaredType) -> [Int] {
        guard declared.dimensions.count == 4 else { return [] }
        return Graph.isChannelsLast(declared) ? [1, 2] : [2, 3]
    }

    /// Sides for looking at a graph that leaves them open; nil where it does not.
    public var assumedImageSize: (height: Int, width: Int)? {
        guard let input = inputs.first, let declared = values[input].declared else { return nil }
        let sizes = spatialAxes(declared).map { declared.dimensions[$0] }
        let isFixed = sizes.allSatisfy { if case .fixed = $0 { true } else { false } }
        return isFixed ? nil : (224, 224)
    }

    /// Height and width of pictures of `shape`; nil for an input that does not take pictures.
    public func imageSize(of shape: [Int]) -> (height: Int, width: Int)? {
        guard let input = inputs.first, let declared = values[input].declared else { return nil }
        let axes = spatialAxes(declared)
        guard axes.count == 2, shape.count == 4 else { return nil }
        return (shape[axes[0]], shape[axes[1]])
    }

    /// The batch size that the file fixes, or nil when it is symbolic.
    public var fixedBatch: Int? {
        guard let input = inputs.first, case .fixed(let batch)? = values[input].declared?.dimensions.first else {
            return nil
        }
        return batch
    }
}
