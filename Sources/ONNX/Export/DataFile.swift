import Files
import TensorCore

/// The file beside a model that holds its external tensors, as it is being laid out.
struct DataFile {
    private enum Piece {
        case array(NDArray)
        case fileBytes(FileBytes, Range<Int>)

        var byteCount: Int {
            switch self {
            case .array(let array): array.byteCount
            case .fileBytes(_, let range): range.count
            }
        }
    }

    let name: String
    private var pieces: [(offset: Int, piece: Piece)] = []
    private var end = 0

    init(name: String) { self.name = name }

    mutating func add(_ array: NDArray) -> ExternalLocation { add(.array(array)) }

    mutating func add(_ file: FileBytes, _ range: Range<Int>) -> ExternalLocation { add(.fileBytes(file, range)) }

    private mutating func add(_ piece: Piece) -> ExternalLocation {
        // Page boundaries let large tensors be mapped one by one; 64 bytes suit every kernel.
        let alignment = piece.byteCount >= 1 << 16 ? 4096 : 64
        let offset = (end + alignment - 1) / alignment * alignment
        pieces.append((offset, piece))
        end = offset + piece.byteCount
        return ExternalLocation(location: name, offset: offset, length: piece.byteCount)
    }

    /// Passes the file's bytes to `sink`.
    func emit(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        var position = 0
        for (offset, piece) in pieces {
            let padding = [UInt8](repeating: 0, count: offset - position)
            try padding.withUnsafeBytes(sink)
            switch piece {
            case .array(let array): try array.withLittleEndianBytes(sink)
            case .fileBytes(let file, let range):
                try file.withUnsafeBytes { try sink(UnsafeRawBufferPointer(rebasing: $0[range])) }
            }
            position = offset + piece.byteCount
        }
    }
}
