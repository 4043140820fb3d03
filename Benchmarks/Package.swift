// swift-tools-version: 6.0
import PackageDescription

// A package of its own, so that users of the library never build it.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "finetune", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ],
    targets: [
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                .product(name: "FineTune", package: "finetune"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
