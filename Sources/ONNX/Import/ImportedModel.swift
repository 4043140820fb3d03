import GraphIR
import NN
import TensorCore

/// A model file brought up as modules, frozen; it remembers the file, so that updated weights can go back into it.
public final class ImportedModel {
    public let file: ModelFile
    public let module: GraphModule
    /// Classes that a replaced head tells apart; nil when the head is the file's.
    public private(set) var newClassCount: Int?
    /// Shapes in the file that a replaced head makes others.
    private(set) var changedShapes: [String: [TypeProto.Dimension]] = [:]

    /// Nodes of the file that were in training mode, batch norms and dropouts: here and in what is written, they are as in
    /// inference.
    public let nodesInTrainingMode: [String]
    /// Their places in the file's graph.
    let trainingNodes: Set<Int>

    /// Reads the file at `path`.
    ///
    /// - `output`: the output, or another value, that classes are decided by; see `Graph.logitsValue`.
    /// - `imageSize`: pixels (height, width), for another size than the file's or where the file leaves it open.
    /// - Throws: `ONNXError` or `GraphError`, naming the file, the node and what was expected.
    public convenience init(
        path: String, limits: LoadLimits = .default, imageSize: (height: Int, width: Int)? = nil,
        output: String? = nil
    ) throws {
        try self.init(file: try ModelFile.read(path, limits: limits), imageSize: imageSize, output: output)
    }

    /// Brings up a file that was read before. Throws `GraphError`.
    public init(
        file: ModelFile, imageSize: (height: Int, width: Int)? = nil, output: String? = nil,
        options: ImportOptions = ImportOptions()
    ) throws {
        self.file = file
        var (graph, changed) = try file.graph(options).inInferenceForm()
        nodesInTrainingMode = changed.map { graph.nodes[$0].label }
        trainingNodes = Set(changed.compactMap { graph.nodes[$0].position })
        guard trainingNodes.count == changed.count else {
            throw GraphError(
                nodesInTrainingMode[0],
                "is in training mode inside of a function; export the model in evaluation mode (model.eval())")
        }
        // A batch that cannot be opened shows when the graph is run with another one, with the node that stops it.
        let size = imageSize ?? graph.assumedImageSize
        if let open = try? graph.withOpenBatch(imageSize: size) { graph = open }
        module = try GraphModule(graph, output: output, imageSize: size)
    }

    /// Lets go of the file's pages in memory; those that are read again come back from the file. For after a first step:
    /// frozen weights have been packed by then, and trained ones moved out of the file.
    public func releasePages() { file.bytes.releasePages(of: 0..<file.bytes.count) }

    /// Metadata entries of the file.
    public var metadata: [String: String] { file.metadata }

    /// Replaces the last linear layer; see `GraphModule.replaceHead`.
    @discardableResult
    public func replaceHead(
        classes: Int, imageSize: (height: Int, width: Int)? = nil, using random: inout RandomSource
    ) throws -> GraphModule.HeadReplacement {
        let before = module.graph
        let result = try module.replaceHead(classes: classes, imageSize: imageSize, using: &random)
        // Where a head is replaced again, the file still states the first one's shapes.
        let stated = newClassCount == nil ? before : module.source.unshared().graph
        changedShapes = try file.model.graph.changedShapes(from: stated, to: module.graph, imageSize: imageSize)
        newClassCount = classes
        return result
    }
}

extension ModelFile {
    /// Entries of `metadata_props`.
    public var metadata: [String: String] {
        Dictionary(model.metadataProps.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
