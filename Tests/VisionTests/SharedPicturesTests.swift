import Safetensors
import TensorCore
import TestSupport
import Testing

@testable import Vision

@Suite("Pictures of the transfer-learning tutorial", .enabled(if: TestFiles.shared != nil))
struct SharedPicturesTests {
    private func folder() throws -> String {
        try #require(TestFiles.shared).appendingPathComponent("data/hymenoptera_data").path
    }

    @Test("the folder holds 244 and 153 pictures and one file that is none")
    func counts() throws {
        let split = try DatasetSplit.imageFolder(folder())
        #expect(split.classes == ["ants", "bees"])
        #expect(split.train.classCounts == [123, 121])
        #expect(split.val.classCounts == [70, 83])
        #expect(split.ignored.map(\.kind) == ["a placeholder for a picture that was not found"])
        let report = DataReport(split)
        #expect(report.parts.flatMap(\.unreadable) == [])
    }

    @Test("resized and cropped pictures equal torchvision's bit for bit")
    func preprocessing() throws {
        let path = try #require(TestFiles.shared).appendingPathComponent(
            "models/oracle/preprocess_resize256_crop224.safetensors"
        ).path
        let transform = try Transform.evaluation(side: 224)
        var random = RandomSource(seed: 0)
        let expected = try SafetensorsFile(path: path).tensors()
        #expect(expected.count == 9)
        for (name, value) in expected {
            let picture = try Picture(contentsOf: folder() + "/" + name)
            let result = transform.apply(to: picture, using: &random).rendered()
            #expect(result.pixels.isBitIdentical(to: value), "\(name)")
        }
    }
}
