// swift-tools-version: 6.0
import PackageDescription

// A package of its own, so that using FineTune never builds its examples.
let package = Package(
    name: "Examples",
    dependencies: [.package(name: "finetune", path: "..")],
    targets: [
        "01-requires-grad", "02-chain-rule", "03-freeze-and-unfreeze", "04-transfer-learning", "05-your-own-module", "06-gradient-checking",
        "07-autograd-in-a-hundred-lines",
    ].map { name in
        .executableTarget(
            name: name, dependencies: [.product(name: "FineTune", package: "finetune")], path: name,
            exclude: ["expected.txt"])
    },
    swiftLanguageModes: [.v6]
)
