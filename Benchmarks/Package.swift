// swift-tools-version: 6.0
import PackageDescription

// A package of its own, so that users of the library never build it.
let package = Package(
    name: "benchmarks",
    dependencies: [.package(name: "finetune", path: "..")],
    targets: [
        .executableTarget(name: "recording", dependencies: [.product(name: "FineTune", package: "finetune")])
    ],
    swiftLanguageModes: [.v6]
)
