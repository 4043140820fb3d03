// swift-tools-version: 6.0
import PackageDescription

// Fuzz targets, apart from the package so that its users never build them. `scripts/fuzz` builds and runs them; the
// sanitizers come from its command line, so that they cover the library as well.
let targets = ["FuzzModel", "FuzzSafetensors", "FuzzJPEG", "FuzzPNG"]
let package = Package(
    name: "Fuzz",
    dependencies: [.package(name: "finetune", path: "..")],
    targets: [.target(name: "CLibFuzzer")]
        + targets.map {
            .executableTarget(
                name: $0, dependencies: ["CLibFuzzer", .product(name: "FineTune", package: "finetune")])
        },
    swiftLanguageModes: [.v6]
)
