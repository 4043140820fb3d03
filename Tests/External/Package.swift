// swift-tools-version: 6.0
import PackageDescription

// What another package needs to use the library. `scripts/check-external-package` builds it outside of this tree.
let package = Package(
    name: "consumer",
    dependencies: [.package(name: "finetune", path: Context.environment["FINETUNE"] ?? "../..")],
    targets: [
        .executableTarget(name: "consumer", dependencies: [.product(name: "FineTune", package: "finetune")])
    ],
    swiftLanguageModes: [.v6]
)
