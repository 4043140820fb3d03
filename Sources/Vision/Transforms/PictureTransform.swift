import TensorCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One geometric step between the decoded picture and the model's input.
///
/// `description` must name the step and every setting that changes its result: features are cached under it.
public protocol PictureTransform: Sendable, CustomStringConvertible {
    /// True when the result depends on the picture alone.
    var isDeterministic: Bool { get }

    /// The size it gives to every picture, or nil when that depends on the picture.
    ///
    /// `input` is the size before it, nil when unknown.
    func outputSize(of input: PictureSize?) -> PictureSize?

    /// Changes `picture`; random choices are drawn from `random` alone.
    func apply(to picture: inout DeferredPicture, using random: inout RandomSource)
}

/// Resizes with antialiased interpolation: torchvision's `Resize` of a Pillow picture.
public struct Resize: PictureTransform {
    private enum Target: Hashable {
        case shorterSide(Int)
        case exact(PictureSize)
    }
    private let target: Target
    private let interpolation: PictureInterpolation

    /// The shorter side becomes `shorterSide`, the longer one keeps the shape, rounded down.
    public init(shorterSide: Int, _ interpolation: PictureInterpolation = .bilinear) {
        precondition(shorterSide > 0, "a side needs at least one pixel")
        target = .shorterSide(shorterSide)
        self.interpolation = interpolation
    }

    /// Both sides are given; the shape may change.
    public init(_ size: PictureSize, _ interpolation: PictureInterpolation = .bilinear) {
        precondition(size.width > 0 && size.height > 0, "a side needs at least one pixel")
        target = .exact(size)
        self.interpolation = interpolation
    }

    public var isDeterministic: Bool { true }

    public func outputSize(of input: PictureSize?) -> PictureSize? {
        switch target {
        case .exact(let size): return size
        case .shorterSide(let side):
            guard let input else { return nil }
            let longer = max(side * max(input.width, input.height) / min(input.width, input.height), 1)
            return input.width <= input.height
                ? PictureSize(width: side, height: longer) : PictureSize(width: longer, height: side)
        }
    }

    public func apply(to picture: inout DeferredPicture, using random: inout RandomSource) {
        if let size = outputSize(of: picture.size) { picture.resize(to: size, interpolation) }
    }

    public var description: String {
        switch target {
        case .shorterSide(let side): "Resize(shorterSide: \(side), antialiased \(interpolation))"
        case .exact(let size): "Resize(\(size), antialiased \(interpolation))"
        }
    }
}

/// Resizes a picture to fit into a size, its shape kept, and fills the rest with black: Pillow's `ImageOps.pad`.
public struct Letterbox: PictureTransform {
    private let size: PictureSize
    private let interpolation: PictureInterpolation

    public init(_ size: PictureSize, _ interpolation: PictureInterpolation = .bilinear) {
        precondition(size.width > 0 && size.height > 0, "a side needs at least one pixel")
        self.size = size
        self.interpolation = interpolation
    }

    public var isDeterministic: Bool { true }
    public func outputSize(of input: PictureSize?) -> PictureSize? { size }

    public func apply(to picture: inout DeferredPicture, using random: inout RandomSource) {
        picture.resize(to: fitted(picture.size), interpolation)
        let excess = PictureSize(width: size.width - picture.width, height: size.height - picture.height)
        guard excess.width > 0 || excess.height > 0 else { return }
        let (left, top) = (rounded(Double(excess.width) * 0.5), rounded(Double(excess.height) * 0.5))
        picture.pad(left: left, top: top, right: excess.width - left, bottom: excess.height - top)
    }

    /// The largest size of the same shape that fits.
    private func fitted(_ input: PictureSize) -> PictureSize {
        let (width, height) = (Double(input.width), Double(input.height))
        let (shape, wanted) = (width / height, Double(size.width) / Double(size.height))
        if shape > wanted {
            let side = rounded(height / width * Double(size.width))
            return PictureSize(width: size.width, height: min(max(side, 1), size.height))
        }
        if shape < wanted {
            let side = rounded(width / height * Double(size.height))
            return PictureSize(width: min(max(side, 1), size.width), height: size.height)
        }
        return size
    }

    /// To the nearest, halves to the even neighbour, as Python's `round`.
    private func rounded(_ value: Double) -> Int { Int(value.rounded(.toNearestOrEven)) }

    public var description: String { "Letterbox(\(size), antialiased \(interpolation))" }
}

/// Cuts the middle out, after surrounding a picture that is too small with black: torchvision's `CenterCrop`.
public struct CenterCrop: PictureTransform {
    private let size: PictureSize

    public init(_ size: PictureSize) {
        precondition(size.width > 0 && size.height > 0, "a side needs at least one pixel")
        self.size = size
    }

    /// A square of `side` pixels.
    public init(_ side: Int) { self.init(PictureSize(width: side, height: side)) }

    public var isDeterministic: Bool { true }
    public func outputSize(of input: PictureSize?) -> PictureSize? { size }

    public func apply(to picture: inout DeferredPicture, using random: inout RandomSource) {
        let missing = PictureSize(
            width: max(size.width - picture.width, 0), height: max(size.height - picture.height, 0))
        if missing.width > 0 || missing.height > 0 {
            picture.pad(
                left: missing.width / 2, top: missing.height / 2, right: (missing.width + 1) / 2,
                bottom: (missing.height + 1) / 2)
        }
        picture.crop(
            x: middle(picture.width - size.width), y: middle(picture.height - size.height), width: size.width,
            height: size.height)
    }

    /// Half of `excess`; halves round to the even neighbour, as Python's `round`.
    private func middle(_ excess: Int) -> Int { Int((Double(excess) / 2).rounded(.toNearestOrEven)) }

    public var description: String { "CenterCrop(\(size))" }
}

/// Cuts out a random part of random shape and resizes it: torchvision's `RandomResizedCrop`.
///
/// Ten times an area fraction is drawn evenly from `scale` and a width-to-height ratio evenly, on a logarithmic scale, from
/// `ratio`; the first rectangle that fits is placed evenly. If none fits, the middle part nearest to the allowed ratios
/// is taken.
public struct RandomResizedCrop: PictureTransform {
    private let size: PictureSize
    private let scale: ClosedRange<Double>
    private let ratio: ClosedRange<Double>
    private let interpolation: PictureInterpolation

    public init(
        _ size: PictureSize, scale: ClosedRange<Double> = 0.08...1, ratio: ClosedRange<Double> = 3.0 / 4...4.0 / 3,
        _ interpolation: PictureInterpolation = .bilinear
    ) {
        precondition(size.width > 0 && size.height > 0, "a side needs at least one pixel")
        precondition(scale.lowerBound >= 0 && ratio.lowerBound > 0, "scale and ratio must be positive")
        self.size = size
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
    }

    public init(
        _ side: Int, scale: ClosedRange<Double> = 0.08...1, ratio: ClosedRange<Double> = 3.0 / 4...4.0 / 3,
        _ interpolation: PictureInterpolation = .bilinear
    ) {
        self.init(PictureSize(width: side, height: side), scale: scale, ratio: ratio, interpolation)
    }

    public var isDeterministic: Bool { false }
    public func outputSize(of input: PictureSize?) -> PictureSize? { size }

    public func apply(to picture: inout DeferredPicture, using random: inout RandomSource) {
        let part = region(in: picture.size, using: &random)
        picture.crop(x: part.x, y: part.y, width: part.width, height: part.height)
        picture.resize(to: size, interpolation)
    }

    func region(in picture: PictureSize, using random: inout RandomSource) -> PictureRegion {
        let area = Double(picture.width * picture.height)
        for _ in 0..<10 {
            let target = area * random.uniform(scale.lowerBound, scale.upperBound)
            let shape = exp(random.uniform(log(ratio.lowerBound), log(ratio.upperBound)))
            let width = Int((target * shape).squareRoot().rounded(.toNearestOrEven))
            let height = Int((target / shape).squareRoot().rounded(.toNearestOrEven))
            guard width > 0, height > 0, width <= picture.width, height <= picture.height else { continue }
            let y = random.integer(below: picture.height - height + 1)
            let x = random.integer(below: picture.width - width + 1)
            return PictureRegion(x: x, y: y, width: width, height: height)
        }
        return fallback(in: picture)
    }

    private func fallback(in picture: PictureSize) -> PictureRegion {
        let shape = Double(picture.width) / Double(picture.height)
        var (width, height) = (picture.width, picture.height)
        if shape < ratio.lowerBound {
            height = Int((Double(width) / ratio.lowerBound).rounded(.toNearestOrEven))
        } else if shape > ratio.upperBound {
            width = Int((Double(height) * ratio.upperBound).rounded(.toNearestOrEven))
        }
        (width, height) = (min(max(width, 1), picture.width), min(max(height, 1), picture.height))
        return PictureRegion(
            x: (picture.width - width) / 2, y: (picture.height - height) / 2, width: width, height: height)
    }

    public var description: String {
        "RandomResizedCrop(\(size), scale: \(scale), ratio: \(ratio), antialiased \(interpolation))"
    }
}

/// Exchanges left and right with a probability: torchvision's `RandomHorizontalFlip`.
public struct RandomHorizontalFlip: PictureTransform {
    private let probability: Double

    /// - `probability`: that a picture is mirrored.
    public init(probability: Double = 0.5) {
        precondition((0...1).contains(probability), "a probability lies between 0 and 1")
        self.probability = probability
    }

    public var isDeterministic: Bool { probability == 0 || probability == 1 }
    public func outputSize(of input: PictureSize?) -> PictureSize? { input }

    public func apply(to picture: inout DeferredPicture, using random: inout RandomSource) {
        if random.uniform() < probability { picture.mirror() }
    }

    public var description: String { "RandomHorizontalFlip(\(probability))" }
}
