import Files
import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Training
@testable import Vision

@Suite("Preprocessing")
struct PreprocessingTests {
    /// What a model sees of one pixel, red 200, green 100 and blue 50.
    private func numbers(_ preset: String, order: Normalization.ChannelOrder? = nil) throws -> [Float] {
        let overrides = LoadedModel.Overrides(normalize: preset, channels: order)
        let transform = try Transform([], normalization: overrides.normalization(nil, channels: 3))
        var random = RandomSource(seed: 0)
        return transform(Picture(width: 1, height: 1, color: [200, 100, 50]), using: &random).elements(as: Float.self)
    }

    @Test("presets give what their models were trained with")
    func presets() throws {
        func expect(_ got: [Float], _ wanted: [Float], line: Int = #line) {
            #expect(zip(got, wanted).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) }, "line \(line): \(got)")
        }
        // keras.applications.imagenet_utils.preprocess_input, mode "caffe" and "tf".
        expect(try numbers("caffe"), [50 - 103.939, 100 - 116.779, 200 - 123.68])
        expect(try numbers("caffe", order: .rgb), [200 - 123.68, 100 - 116.779, 50 - 103.939])
        for name in ["half", "inception"] {
            expect(try numbers(name), [200 / 127.5 - 1, 100 / 127.5 - 1, 50 / 127.5 - 1])
        }
        #expect(try numbers("bytes") == [200, 100, 50])
        #expect(try numbers("bytes", order: .bgr) == [50, 100, 200])
        expect(try numbers("none"), [200 / 255.0, 100 / 255.0, 50 / 255.0])
        expect(
            try numbers("imagenet"),
            [(200 / 255.0 - 0.485) / 0.229, (100 / 255.0 - 0.456) / 0.224, (50 / 255.0 - 0.406) / 0.225])
        expect(try numbers("imagenet", order: .bgr), try numbers("imagenet").reversed())
        expect(
            try numbers("clip"),
            [
                (200 / 255.0 - 0.48145466) / 0.26862954, (100 / 255.0 - 0.4578275) / 0.26130258,
                (50 / 255.0 - 0.40821073) / 0.27577711,
            ])
        #expect(throws: SettingError.self) { try numbers("imgnet") }
        #expect(throws: SettingError.self) {
            try LoadedModel.Overrides(normalize: "caffe").normalization(nil, channels: 1)
        }
        #expect(throws: SettingError.self) { try LoadedModel.Overrides(channels: .bgr).normalization(nil, channels: 1) }
    }

    @Test("what a preset is called comes back from its numbers, also for each colour")
    func names() throws {
        for preset in Normalization.presets {
            let name = preset.name == "inception" ? "half" : preset.name
            #expect(preset.value.name == name)
            #expect(preset.value.with(order: .bgr).name == name)
        }
        #expect(try Normalization(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]).name == "half")
        #expect(try Normalization(mean: [0.305], std: [0.327]).name == "0.305/0.327")
    }

    @Test("everything in force travels in the metadata")
    func metadata() throws {
        let made = Preprocessing(
            channels: 3, imageSize: 96, normalization: .caffe, fit: .letterbox, interpolation: .bicubic, exif: .apply)
        let entries = try ModelCard(preprocessing: made).metadata()
        let text = try #require(entries.first?.value)
        for part in [
            "\"channel_order\":\"bgr\"", "\"range\":\"bytes\"", "\"resize_mode\":\"letterbox\"", "\"resize\":96",
            "\"interpolation\":\"bicubic\"", "\"exif\":\"apply\"",
        ] {
            #expect(text.contains(part), "\(text)")
        }
        #expect(ModelCard(metadata: [ModelCard.preprocessingKey: text]).preprocessing == made)
        #expect(
            made.description
                == "96 x 96 BGR; longer side to 96 (bicubic), the rest black; normalize caffe; EXIF applied")
        let transform = try made.evaluation()
        #expect(transform.exif == .apply && transform.normalization == .caffe)
        #expect(transform.description.contains("Letterbox(96 x 96, antialiased bicubic)"))
    }

    @Test("metadata of earlier versions means what it meant")
    func olderMetadata() throws {
        let text = #"{"channels":3,"image_size":224,"resize":256,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
        let known = try #require(ModelCard(metadata: [ModelCard.preprocessingKey: text]).preprocessing)
        #expect(known == Preprocessing(channels: 3, imageSize: 224, normalization: .imagenet))
        // The fingerprint names what caches keep features under.
        let transform = try known.evaluation()
        #expect(
            transform.description
                == "Decode(rgb); Resize(shorterSide: 256, antialiased bilinear); CenterCrop(224 x 224); "
                + "Normalize(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])")
    }

    @Test("options win over the model's metadata, and a fit of one's own has a size of its own")
    func overrides() throws {
        let known = Preprocessing(channels: 3, imageSize: 224, resize: 300, normalization: .caffe, exif: .apply)
        func make(_ overrides: LoadedModel.Overrides) throws -> Preprocessing {
            try overrides.preprocessing(known, channels: 3, imageSize: 224)
        }
        #expect(try make(.init()) == known)
        #expect(try make(.init(fit: .squash)).resize == 224)
        #expect(try make(.init(fit: .crop)).resize == 300)
        #expect(try make(.init(resize: 250, fit: .squash)).resize == 250)
        #expect(try make(.init(exif: .ignore)).exif == .ignore)
        // Numbers do not say in which order a model takes the colours; a preset for blue first does.
        #expect(try make(.init(normalize: "0.5/0.5")).order == .bgr)
        #expect(try make(.init(normalize: "0.5/0.5", channels: .rgb)).order == .rgb)
        let other = Preprocessing(channels: 3, imageSize: 224, normalization: .imagenet)
        let caffe = try LoadedModel.Overrides(normalize: "caffe").preprocessing(other, channels: 3, imageSize: 224)
        #expect(caffe.order == .bgr && caffe.range == .bytes)
    }

    @Test("a run's settings keep them")
    func settings() throws {
        var settings = RunSettings(model: "m.onnx")
        settings.pictures = .init(
            imageSize: 64, normalize: "clip", channels: .bgr, fit: .letterbox, interpolation: .bicubic, exif: .apply)
        let words = try settings.arguments()
        for pair in [
            ["--channels", "bgr"], ["--resize-mode", "letterbox"], ["--interpolation", "bicubic"], ["--exif", "apply"],
        ] {
            #expect(zip(words, words.dropFirst()).contains { [$0, $1] == pair }, "\(words)")
        }
        let back = try JSONDecoder().decode(RunSettings.self, from: JSONEncoder().encode(settings))
        #expect(back == settings)
    }

    @Test("pictures that carry a rotation are counted where it is ignored")
    func rotations() throws {
        let folder = TestFiles.fixtures.appendingPathComponent("pictures").path
        let paths = ["exif-rotated.jpg", "420.jpg", "exif-rotated.jpg", "rgb8.png", "none.jpg"].map {
            "\(folder)/\($0)"
        }
        var preprocessing = Preprocessing(channels: 3, imageSize: 32, normalization: .none)
        #expect(preprocessing.rotationNote(paths) == "2 pictures carry a rotation; --exif apply turns them")
        #expect(preprocessing.rotationNote([paths[0]]) == "1 picture carries a rotation; --exif apply turns it")
        #expect(preprocessing.rotationNote([paths[1]]) == nil)
        preprocessing.exif = .apply
        #expect(preprocessing.rotationNote(paths) == nil)
    }
}
