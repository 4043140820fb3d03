// swift-tools-version: 6.0
import PackageDescription

// Fuzz targets, apart from the package so that its users never build them. `scripts/fuzz` builds and runs them; the
// sanitizers come from its command line, so that they cover the library as well.
let pictures = ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "PNM", "AVIF", "HEIC"].map { "Fuzz\($0)" }
let library = Target.Dependency.product(name: "FineTune", package: "finetune")
let package = Package(
    name: "Fuzz",
    dependencies: [.package(name: "finetune", path: "..")],
    targets: [.target(name: "CLibFuzzer"), .target(name: "FuzzPicture", dependencies: [library])]
        + ["FuzzModel", "FuzzSafetensors"].map { .executableTarget(name: $0, dependencies: ["CLibFuzzer", library]) }
        + pictures.map { .executableTarget(name: $0, dependencies: ["CLibFuzzer", "FuzzPicture"]) },
    swiftLanguageModes: [.v6]
)
