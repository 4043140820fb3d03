import TensorCore

/// What is to differ between the model that was read and the one that is written; all else stays byte for byte.
public struct ModelEdits: Sendable {
    /// New elements by name: of an initializer, of a Constant node (by its output), or of the output of any other node,
    /// which then becomes an initializer in place of the node.
    ///
    /// Elements are converted to the tensor's own type and stored as they were; equal elements change nothing. Where the
    /// shape is new, the tensor's dims and its graph input follow; for the shapes computed from it see `shapes`.
    public var tensors: [String: NDArray] = [:]
    /// Initializers that the model does not have yet.
    public var newInitializers: [NewInitializer] = []
    /// Node inputs that are to read another value.
    public var rewiredInputs: [NodeInput: String] = [:]
    /// Batch norms and dropouts, by position in the file's graph, that are to be as in inference: without `training_mode`, norms
    /// with one output.
    public var inferenceNodes: Set<Int> = []
    /// New shapes of graph inputs, outputs and value_info by name.
    public var shapes: [String: [TypeProto.Dimension]] = [:]
    /// Entries of `metadata_props`: new keys are added, sorted, and those that exist get the new value in place.
    public var metadata: [String: String] = [:]

    public init(tensors: [String: NDArray] = [:], metadata: [String: String] = [:]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    /// One input of one node, by position in the file's graph.
    public struct NodeInput: Hashable, Sendable {
        public var node: Int
        public var input: Int

        public init(node: Int, input: Int) {
            self.node = node
            self.input = input
        }
    }

    /// A constant that the file does not have yet.
    public struct NewInitializer: Sendable {
        public var name: String
        public var array: NDArray
        /// Element type in the file.
        public var dataType: TensorProto.DataType
        /// A node that made a value of this name is left out.
        public var replacesNode: Bool

        /// `dataType` is the array's own unless given.
        public init(
            name: String, array: NDArray, dataType: TensorProto.DataType? = nil, replacesNode: Bool = false
        ) {
            self.name = name
            self.array = array
            self.dataType = dataType ?? TensorProto.DataType(array.dtype)
            self.replacesNode = replacesNode
        }
    }

    var isEmpty: Bool {
        tensors.isEmpty && newInitializers.isEmpty && rewiredInputs.isEmpty && inferenceNodes.isEmpty && shapes.isEmpty
            && metadata.isEmpty
    }
}

/// Where a written model's large tensors are.
public enum ExternalDataMode: Sendable, Equatable {
    /// As in the file that was read. Where a tensor in another file changed, the new model gets a data file of its own,
    /// `MODEL.onnx.data`; where none did, the data files are copied to the new model's folder.
    case keep
    /// Everything in the model itself.
    case embed
    /// Initializers of at least so many bytes in `MODEL.onnx.data`.
    case external(minimumBytes: Int)
}
