import TensorCore

/// The names of a model's parameters and the order of its layers: what patterns are matched against.
///
/// Made from a `Module`, or from a graph before there are modules.
public struct ParameterIndex: Sendable {
    /// One parameter.
    public struct Entry: Sendable {
        /// Every dotted name it answers to; the first is its path.
        public var addresses: [String]
        /// Number of elements.
        public var count: Int

        public init(_ addresses: [String], count: Int) {
            demand(!addresses.isEmpty, "a parameter needs a name")
            self.addresses = addresses
            self.count = count
        }

        public var name: String { addresses[0] }
    }

    /// One layer with parameters of its own.
    public struct Layer: Sendable {
        public var path: String
        /// Positions of its parameters in `entries`.
        public var parameters: [Int]

        public init(path: String, parameters: [Int]) {
            self.path = path
            self.parameters = parameters
        }
    }

    public var entries: [Entry] = []
    /// The layers in the order in which they run.
    public var layers: [Layer] = []

    /// Positions in `layers` of those that make up the head; the last one where none is given.
    public var heads: [Int] = []
    /// Addresses of parameters that cannot be selected, and why.
    public var beside: [String] = []
    public var besideReason = ""

    public init(entries: [Entry] = [], layers: [Layer] = []) {
        self.entries = entries
        self.layers = layers
    }

    /// Positions of the parameters that any of `patterns` selects, ascending.
    ///
    /// Throws `ParameterPatternError` when a pattern is malformed or selects nothing.
    public func select(_ patterns: [String]) throws -> [Int] { try select(ParameterPattern.parse(patterns)) }

    /// Positions of the parameters that any of `patterns` selects, ascending.
    public func select(_ patterns: [ParameterPattern]) throws -> [Int] {
        try Set(patterns.flatMap { try select($0) }).sorted()
    }

    private func select(_ pattern: ParameterPattern) throws -> [Int] {
        guard !entries.isEmpty else { throw ParameterPatternError.noParameters }
        if case .last(let count) = pattern.kind {
            guard count <= layers.count else {
                throw ParameterPatternError.tooFewLayers(pattern: pattern.text, layers: layers.count)
            }
            return layers.suffix(count).flatMap(\.parameters)
        }
        if case .head = pattern.kind {
            guard !layers.isEmpty else { throw ParameterPatternError.tooFewLayers(pattern: pattern.text, layers: 0) }
            return (heads.isEmpty ? [layers.count - 1] : heads).flatMap { layers[$0].parameters }
        }
        let selected = entries.indices.filter { entries[$0].addresses.contains(where: pattern.matches) }
        guard !selected.isEmpty else {
            if beside.contains(where: pattern.matches) {
                throw ParameterPatternError.beside(pattern: pattern.text, reason: besideReason)
            }
            throw ParameterPatternError.noMatch(
                pattern: pattern.text, closest: closestNames(to: pattern.text), scopes: outermostScopes())
        }
        return selected
    }

    /// Up to three names, scopes or words for layers that differ from `text` by few edits, nearest first; case does not
    /// count.
    func closestNames(to text: String) -> [String] {
        let limit = max(2, text.count / 3)
        var seen: Set<String> = []
        var candidates: [(name: String, distance: Int)] = []
        func consider(_ name: String) {
            guard seen.insert(name).inserted else { return }
            let distance = editDistance(text.lowercased(), name.lowercased())
            if distance <= limit { candidates.append((name, distance)) }
        }
        for address in entries.flatMap(\.addresses) {
            var scope = ""
            for component in address.split(separator: ".") {
                scope = joined(scope, String(component))
                consider(scope)
            }
        }
        for word in ParameterPattern.words(like: text) { consider(word) }
        // A stable order: equally near names stay in the model's order.
        return candidates.enumerated()
            .sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
            .prefix(3).map(\.element.name)
    }

    private func outermostScopes() -> [String] {
        var seen: Set<String> = []
        return entries.compactMap { entry in
            let scope = String(entry.name.prefix { $0 != "." })
            return seen.insert(scope).inserted ? scope : nil
        }
    }
}

/// `; did you mean 'adam'?` when one of `names` is spelt much like `text`, else nothing.
public func suggestion(for text: String, among names: some Sequence<String>) -> String {
    let names = Array(names)
    if names.contains(text) { return "" }
    // What was begun and not ended.
    let begun = text.count > 2 ? names.filter { $0.hasPrefix(text) } : []
    let near = names.map { (name: $0, distance: editDistance(text, $0)) }.min { $0.distance < $1.distance }
    guard
        let name = begun.count == 1 ? begun[0] : near.flatMap({ $0.distance <= max(2, text.count / 3) ? $0.name : nil })
    else { return "" }
    return "; did you mean '\(name)'?"
}

/// Fewest insertions, deletions and replacements of a character that turn `a` into `b` (Levenshtein).
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let replaced = diagonal + (x == y ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}
