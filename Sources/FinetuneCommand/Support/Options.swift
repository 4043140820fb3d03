import ArgumentParser
import FineTune
import Foundation

/// Which model, and how pictures are prepared for it.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The ONNX file.", valueName: "file"), completion: .file(extensions: ["onnx"]))
    var model: String

    @OptionGroup var pictures: PictureOptions

    var overrides: LoadedModel.Overrides { pictures.overrides }

    /// The file meant: a bare name is looked up in `models/` too.
    static func resolve(_ path: String) -> String {
        guard !path.contains("/"), !FileManager.default.fileExists(atPath: path) else { return path }
        let bundled = "models/\(path)"
        return FileManager.default.fileExists(atPath: bundled) ? bundled : path
    }
}

/// How pictures are prepared where the model does not say.
struct PictureOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Side of the square input, where the model leaves it open or allows another.", valueName: "pixels"))
    var imageSize: Int?

    @Option(
        help: ArgumentHelp(
            "Length that --resize-mode resizes to before the middle is cut out.", valueName: "pixels"))
    var resize: Int?

    @Option(
        help: ArgumentHelp(
            "How a picture becomes square: crop (the shorter side is resized, the middle cut out), squash (both sides are "
                + "resized), letterbox (the longer side is resized, the rest is black).", valueName: "mode"))
    var resizeMode: Transform.Fit?

    @Option(help: ArgumentHelp("bilinear or bicubic, antialiased.", valueName: "filter"))
    var interpolation: PictureInterpolation?

    @Option(
        help: ArgumentHelp(
            "imagenet, cifar10, half (or inception: -1 to 1), caffe (blue first, 0 to 255 minus means), bytes (0 to 255), "
                + "clip, none (0 to 1), or MEAN/STD such as 0.5,0.5,0.5/0.2,0.2,0.2 for red, green, blue.",
            valueName: "preset"))
    var normalize: String?

    @Option(
        help: ArgumentHelp(
            "The output, or a value inside, that holds the scores; by default the first such output.", valueName: "name"
        ))
    var outputName: String?

    @Option(help: ArgumentHelp("Order in which the model takes the colours: rgb or bgr.", valueName: "order"))
    var channels: Normalization.ChannelOrder?

    @Option(
        help: ArgumentHelp(
            "What becomes of a rotation that a picture's EXIF data tells: ignore or apply.", valueName: "policy"))
    var exif: ExifPolicy?

    var overrides: LoadedModel.Overrides {
        LoadedModel.Overrides(
            imageSize: imageSize, resize: resize, normalize: normalize, channels: channels, fit: resizeMode,
            interpolation: interpolation, exif: exif, outputName: outputName)
    }
}

extension Transform.Fit: ExpressibleByArgument {}
extension PictureInterpolation: ExpressibleByArgument {}
extension Normalization.ChannelOrder: ExpressibleByArgument {}
extension ExifPolicy: ExpressibleByArgument {}

/// How results are shown.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON object as the last line of standard output.")
    var json = false

    @Flag(name: [.long, .customShort("q")], help: "Print results only.")
    var quiet = false

    @Flag(name: [.long, .customShort("v")], help: "Tell more about the work.")
    var verbose = false

    /// Where the result is a text: whether it is printed. With both `--quiet` and `--json` the object alone is.
    var isShowingText: Bool { !(quiet && json) }
}

/// Takes `count` threads for the kernels. Throws `SettingError` for a number out of its range.
func useThreads(_ count: Int) throws {
    try SettingRange.check(count, SettingRange.threads, "--threads")
    Parallel.setThreadCount(count)
}

/// Throws `SettingError` for an `output` without a name, and for one that is among the `inputs` and would replace it.
func checkOutput(_ output: String, _ option: String = "--output", inputs: [String]) throws {
    guard !output.isEmpty else { throw SettingError(option, "expected the name of a file, got an empty one") }
    guard let target = try? FileStatus(path: output),
        let input = inputs.first(where: { (try? FileStatus(path: $0))?.isSameFile(as: target) == true })
    else { return }
    throw SettingError(option, "'\(output)' is read from ('\(input)'); give another name")
}
