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

    /// Reads the file at `path`.
    ///
    /// - `imageSize`: pixels (height, width), for another size than the file's or where the file leaves it open.
    /// - Throws: `ONNXError` or `GraphError`, naming the file, the node and what was expected.
    public convenience init(
        path: String, limits: LoadLimits = .default, imageSize: (height: Int, width: Int)? = nil
    ) throws {
        try self.init(file: try ModelFile.read(path, limits: limits), imageSize: imageSize)
    }

    /// Brings up a file that was read before. Throws `GraphError`.
    public init(
        file: ModelFile, imageSize: (height: Int, width: Int)? = nil, options: ImportOptions = ImportOptions()
    ) throws {
        self.file = file
        var graph = try file.graph(options)
        // A batch that cannot be opened shows when the graph is run with another one, with the node that stops it.
        if let open = try? graph.withOpenBatch(imageSize: imageSize) { graph = open }
        module = try GraphModule(graph)
    }

    /// Lets go of the file's pages in memory; those that are read again come back from the file. For after a first step:
    /// frozen weights have been packed by then, and trained ones moved out of the file.
    public func releasePages() { file.bytes.releasePages(of: 0..<file.bytes.count) }

    /// Metadata entries of the file.
    public var metadata: [String: String] {
        Dictionary(file.model.metadataProps.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

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
