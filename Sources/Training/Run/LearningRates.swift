import Autograd
import NN
import Optim

/// The learning rate, and those of layers that have their own: `0.001`, `0.001,layer4=0.0001`, `fc=0.01`.
///
/// A parameter that several patterns match takes the rate of the last one.
public struct LearningRates: Sendable, Equatable {
    /// The rate of the parameters that a pattern matches.
    public struct Layer: Sendable, Equatable {
        public var pattern: String
        public var rate: Double

        public init(_ pattern: String, _ rate: Double) {
            self.pattern = pattern
            self.rate = rate
        }
    }

    /// Of parameters that no pattern matches.
    public var base = 0.001
    public var layers: [Layer] = []

    public init(_ base: Double = 0.001, layers: [Layer] = []) {
        self.base = base
        self.layers = layers
    }

    /// Reads the text of `--lr`. Throws `SettingError`.
    public init(text: String) throws {
        var hasBase = false
        for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = piece.split(separator: "=", omittingEmptySubsequences: false)
            guard let last = sides.last, let rate = Double(last), rate > 0, rate.isFinite, sides.count <= 2 else {
                throw SettingError(
                    "--lr", "'\(piece)' is neither a positive number nor PATTERN=NUMBER such as layer4=0.001")
            }
            guard sides.count == 1 else {
                layers.append(Layer(String(sides[0]), rate))
                continue
            }
            guard !hasBase else {
                throw SettingError(
                    "--lr",
                    "'\(text)' has two rates without a layer; expected one, and PATTERN=NUMBER for layers "
                        + "('finetune sweep' tries several)")
            }
            (base, hasBase) = (rate, true)
        }
    }
}

extension LearningRates {
    /// The rates in the same proportions, the base rate being `rate`, to two digits.
    public func scaled(to rate: Double) -> LearningRates {
        func rounded(_ rate: Double) -> Double { Double(String(format: "%.2g", rate)) ?? rate }
        return LearningRates(
            rounded(rate), layers: layers.map { Layer($0.pattern, rounded($0.rate * rate / base)) })
    }
}

extension LearningRates: CustomStringConvertible {
    public var description: String {
        ((self == LearningRates(layers: layers) && !layers.isEmpty ? [] : ["\(base)"])
            + layers.map { "\($0.pattern)=\($0.rate)" }).joined(separator: ",")
    }
}

extension LearningRates: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let base = try? container.decode(Double.self) {
            self.init(base)
        } else {
            try self.init(text: container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if layers.isEmpty { try container.encode(base) } else { try container.encode(description) }
    }
}

extension LearningRates {
    /// `parameters` of `module` in groups of one rate each; those at the base rate come first.
    ///
    /// Throws `ParameterPatternError` for a pattern that matches nothing.
    func groups(_ parameters: [Parameter], in module: Module) throws -> [ParameterGroup] {
        let names = Dictionary(
            module.namedParameters().map { (ObjectIdentifier($0.parameter), $0.name) }, uniquingKeysWith: { a, _ in a })
        let matched = try layers.map { Set(try module.names(matching: [$0.pattern])) }
        let places = parameters.map { parameter in
            names[ObjectIdentifier(parameter)].flatMap { name in matched.lastIndex { $0.contains(name) } }
        }
        return ([nil] + layers.indices.map { $0 }).compactMap { place in
            let members = zip(parameters, places).filter { $1 == place }.map(\.0)
            guard !members.isEmpty else { return nil }
            return ParameterGroup(
                members, name: place.map { layers[$0].pattern }, learningRate: place.map { layers[$0].rate } ?? base)
        }
    }

    /// Throws when a pattern matches nothing, or nothing among `trainable`.
    func check(_ trainable: Set<String>, in module: Module) throws {
        for layer in layers where trainable.isDisjoint(with: try module.names(matching: [layer.pattern])) {
            throw SettingError(
                "--lr",
                "'\(layer.pattern)' matches frozen parameters only; unfreeze it too (--unfreeze \(layer.pattern))")
        }
    }
}

extension Module {
    /// Paths of the parameters that any of `patterns` selects. Throws `ParameterPatternError`.
    func names(matching patterns: [String]) throws -> [String] {
        let index = parameterIndex
        return try index.select(patterns).map { index.entries[$0].name }
    }
}
