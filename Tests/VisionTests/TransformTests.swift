import CPicture
import TensorCore
import TestSupport
import Testing

@testable import Vision

@Suite("Transforms")
struct TransformTests {
    private func numbers(_ text: String) -> [Int] { text.split { ",x".contains($0) }.compactMap { Int($0) } }

    @Test("resizing equals Pillow's bit for bit")
    func resize() throws {
        let cases = try Fixtures.cases("resize")
        #expect(cases.count == 14)
        for (key, expected) in cases {
            let size = numbers(key[1])
            let picture = try Picture(contentsOf: Fixtures.path(key[0]), mode: nil)
            let resized = picture.resized(to: PictureSize(width: size[0], height: size[1]))
            #expect(resized.pixels.isBitIdentical(to: expected), "\(key)")
        }
    }

    @Test("cropping and resizing together equals Pillow's crop, then resize")
    func region() throws {
        let cases = try Fixtures.cases("region")
        #expect(cases.count == 4)
        for (key, expected) in cases {
            let (part, size) = (numbers(key[1]), numbers(key[2]))
            var picture = DeferredPicture(try Picture(contentsOf: Fixtures.path(key[0])))
            picture.crop(x: part[0], y: part[1], width: part[2], height: part[3])
            picture.resize(to: PictureSize(width: size[0], height: size[1]))
            #expect(picture.rendered().pixels.isBitIdentical(to: expected), "\(key)")
        }
    }

    @Test("Resize and CenterCrop equal torchvision's, padding included")
    func evaluation() throws {
        let cases = try Fixtures.cases("evaluate")
        #expect(cases.count == 4)
        for (key, expected) in cases {
            let sizes = numbers(key[1])
            let transform = try Transform(
                [Resize(shorterSide: sizes[0]), CenterCrop(sizes[1])], normalization: .none)
            var random = RandomSource(seed: 0)
            let result = transform.apply(to: try Picture(contentsOf: Fixtures.path(key[0])), using: &random)
            #expect(result.rendered().pixels.isBitIdentical(to: expected), "\(key)")
        }
    }

    @Test("ToTensor and Normalize equal torchvision's bit for bit")
    func normalize() throws {
        let transform = try Transform([], normalization: .imagenet)
        var random = RandomSource(seed: 0)
        let result = transform(try Picture(contentsOf: Fixtures.path("rgb8.png")), using: &random)
        #expect(result.isBitIdentical(to: try #require(Fixtures.expected()["normalize/rgb8.png"])))
    }

    @Test("SIMD and portable resampling give the same bits", arguments: [1, 3])
    func portable(channels: Int) {
        for (width, height, outWidth, outHeight) in [
            (37, 29, 20, 11), (5, 3, 64, 40), (200, 9, 7, 90), (3, 200, 2, 7), (33, 33, 32, 32), (1, 1, 9, 9),
            (11, 50, 11, 5), (700, 2, 3, 2),
        ] {
            let picture = noise(width: width, height: height, channels: channels, seed: UInt64(width))
            let all = PictureRegion(x: 0, y: 0, width: width, height: height)
            let columns = ResampleAxis(input: width, output: outWidth, window: 0..<outWidth)
            var narrow = [UInt8](repeating: 0, count: outWidth * height * channels)
            columns.withAxis {
                ft_resample_rows_u8_portable(
                    picture.samples, width * channels, CInt(channels), CInt(height), $0, &narrow)
            }
            #expect(picture.resampledRows(of: all, columns).samples == narrow, "\(width) to \(outWidth)")

            let rows = ResampleAxis(input: height, output: outHeight, window: 0..<outHeight)
            var low = [UInt8](repeating: 0, count: width * outHeight * channels)
            rows.withAxis {
                ft_resample_columns_u8_portable(picture.samples, width * channels, width * channels, $0, &low)
            }
            #expect(picture.resampledColumns(of: all, rows).samples == low, "\(height) to \(outHeight)")
        }
    }

    @Test("deferred steps equal the same steps done one by one")
    func deferred() {
        var random = RandomSource(seed: 3)
        for round in 0..<200 {
            var lazy = DeferredPicture(noise(width: 41, height: 33, seed: UInt64(round)))
            var eager = lazy
            for _ in 0..<5 {
                switch random.integer(below: 4) {
                case 0:
                    let width = 1 + random.integer(below: lazy.width)
                    let height = 1 + random.integer(below: lazy.height)
                    let x = random.integer(below: lazy.width - width + 1)
                    let y = random.integer(below: lazy.height - height + 1)
                    lazy.crop(x: x, y: y, width: width, height: height)
                    eager.crop(x: x, y: y, width: width, height: height)
                case 1:
                    let size = PictureSize(width: 1 + random.integer(below: 60), height: 1 + random.integer(below: 60))
                    lazy.resize(to: size)
                    eager.resize(to: size)
                case 2:
                    lazy.mirror()
                    eager.mirror()
                default:
                    lazy.pad(left: 1, top: 0, right: 2, bottom: 3)
                    eager.pad(left: 1, top: 0, right: 2, bottom: 3)
                }
                eager = DeferredPicture(eager.rendered())
            }
            #expect(lazy.rendered() == eager.rendered(), "round \(round)")
            let transform = Transform.identity
            let (a, b) = (numbers(transform, lazy), numbers(transform, eager))
            #expect(a == b, "round \(round)")
        }
    }

    private func numbers(_ transform: Transform, _ picture: DeferredPicture) -> [Float] {
        var array = [Float](repeating: 0, count: picture.width * picture.height * picture.mode.channels)
        array.withUnsafeMutableBufferPointer { transform.write(picture, into: $0) }
        return array
    }

    @Test("RandomResizedCrop draws areas and shapes in range, evenly over the picture")
    func randomResizedCrop() {
        let crop = RandomResizedCrop(24)
        let size = PictureSize(width: 400, height: 300)
        var random = RandomSource(seed: 5)
        var (areas, centers) = ([Double](), [Double]())
        for _ in 0..<4000 {
            let part = crop.region(in: size, using: &random)
            let area = Double(part.width * part.height) / 120_000
            let shape = Double(part.width) / Double(part.height)
            #expect(area > 0.078 && area <= 1)
            #expect(shape > 0.74 && shape < 1.35)
            #expect(part.x >= 0 && part.y >= 0 && part.x + part.width <= 400 && part.y + part.height <= 300)
            areas.append(area)
            centers.append((Double(part.x) + Double(part.width) / 2) / 400)
        }
        // Large areas fit less often; torchvision's mean over 40,000 draws is 0.4318.
        #expect((0.422...0.442).contains(areas.reduce(0, +) / 4000))
        #expect((0.49...0.51).contains(centers.reduce(0, +) / 4000))
    }

    @Test("RandomResizedCrop falls back to the middle when nothing fits")
    func randomResizedCropFallback() {
        let crop = RandomResizedCrop(24, scale: 4...5)
        var random = RandomSource(seed: 5)
        // What torchvision's get_params returns for these sizes (top, left, height, width).
        #expect(
            crop.region(in: PictureSize(width: 300, height: 100), using: &random)
                == PictureRegion(x: 83, y: 0, width: 133, height: 100))
        #expect(
            crop.region(in: PictureSize(width: 100, height: 300), using: &random)
                == PictureRegion(x: 0, y: 83, width: 100, height: 133))
        #expect(
            crop.region(in: PictureSize(width: 110, height: 100), using: &random)
                == PictureRegion(x: 0, y: 0, width: 110, height: 100))
    }

    @Test("RandomHorizontalFlip mirrors as often as asked")
    func flip() {
        let picture = noise(width: 3, height: 1, channels: 1, seed: 1)
        var random = RandomSource(seed: 9)
        var flips = 0
        for _ in 0..<1000 {
            var deferred = DeferredPicture(picture)
            RandomHorizontalFlip().apply(to: &deferred, using: &random)
            let rendered = deferred.rendered()
            #expect(rendered.samples == picture.samples || rendered.samples == picture.samples.reversed())
            if rendered != picture { flips += 1 }
        }
        #expect((440...560).contains(flips))
        #expect(RandomHorizontalFlip(probability: 1).isDeterministic && !RandomHorizontalFlip().isDeterministic)
    }

    @Test("the fingerprint names every setting")
    func fingerprint() throws {
        let transforms = [
            try Transform.evaluation(side: 224), try Transform.evaluation(side: 192), try Transform.training(side: 224),
            try Transform.evaluation(side: 224, normalization: .cifar10),
            try Transform.evaluation(side: 224, mode: .grayscale, normalization: .none),
            try Transform([Resize(PictureSize(width: 256, height: 256)), CenterCrop(224)], normalization: .imagenet),
            try Transform([RandomResizedCrop(224, scale: 0.5...1), RandomHorizontalFlip()], normalization: .imagenet),
        ]
        #expect(Set(transforms.map(\.fingerprint)).count == transforms.count)
        #expect(try transforms[0].fingerprint == Transform.evaluation(side: 224).fingerprint)
        #expect(transforms.map(\.isDeterministic) == [true, true, false, true, true, true, false])
        #expect(transforms[0].outputSize == PictureSize(width: 224, height: 224))
        #expect(try Transform([Resize(shorterSide: 9)], normalization: .none).outputSize == nil)
    }

    @Test("a normalisation that does not fit is refused")
    func badNormalization() {
        #expect(throws: TransformError.self) { try Transform.evaluation(side: 28, mode: .grayscale) }
        #expect(throws: TransformError.self) { try Normalization(mean: [0.5], std: [0]) }
        #expect(throws: TransformError.self) { try Normalization(mean: [0.5, 0.5], std: [1]) }
        #expect(throws: TransformError.self) { try Normalization(mean: [.nan], std: [1]) }
    }
}

extension Transform {
    fileprivate static var identity: Transform {
        do { return try Transform([], normalization: .none) } catch { preconditionFailure("\(error)") }
    }
}
