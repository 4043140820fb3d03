// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "finetune",
    products: [
        .executable(name: "finetune", targets: ["FinetuneCommand"]),
        .library(name: "FineTune", targets: ["FineTune"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    ],
    targets: [
        // The tool and the umbrella.
        .executableTarget(
            name: "FinetuneCommand",
            dependencies: [
                "FineTune", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .target(
            name: "FineTune",
            dependencies: [
                "Training", "Reports", "ONNX", "Safetensors", "Files", "NN", "Optim", "GraphIR", "Operators",
                "Autograd",
                "Vision", "TensorCore",
            ]),

        // From file to tape to file.
        .target(name: "Training", dependencies: ["NN", "Optim", "Vision", "ONNX", "Reports", "Safetensors"]),
        .target(name: "Reports", dependencies: ["Vision", "Files", "CEvents"]),
        .target(name: "ONNX", dependencies: ["NN", "GraphIR", "COnnx", "Files", "Safetensors"]),
        .target(name: "NN", dependencies: ["Operators", "GraphIR"]),
        .target(name: "Optim", dependencies: ["NN", "Operators"]),
        .target(name: "GraphIR", dependencies: ["Operators"], path: "Sources/Graph"),
        .target(name: "Operators", dependencies: ["Autograd"]),
        .target(name: "Autograd", dependencies: ["TensorCore"]),
        .target(name: "Vision", dependencies: ["Files", "TensorCore", "CPicture"]),
        .target(name: "Safetensors", dependencies: ["Files", "TensorCore"]),
        .target(name: "Files", dependencies: ["TensorCore", "CFiles"]),
        .target(name: "TensorCore", dependencies: ["CKernels"]),

        // C: kernels, generated protobuf-c code, system libraries.
        .target(
            name: "CKernels",
            linkerSettings: [.linkedLibrary("m"), .linkedLibrary("dl"), .linkedLibrary("pthread")]),
        .target(name: "CFiles"),
        .target(
            name: "CPicture", dependencies: ["CJPEG", "CPNG", "CWebP", "CGIF", "CTIFF"],
            linkerSettings: [
                .linkedLibrary("jpeg"), .linkedLibrary("png16"), .linkedLibrary("webp"), .linkedLibrary("webpdemux"),
                .linkedLibrary("gif"), .linkedLibrary("tiff"), .linkedLibrary("m"), .linkedLibrary("dl"),
                .linkedLibrary("pthread"),
            ]),
        .target(name: "COnnx", dependencies: ["CProtobufC"]),
        .target(name: "CEvents", dependencies: ["CProtobufC"]),
        .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg62-turbo-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
        .systemLibrary(name: "CGIF", providers: [.apt(["libgif-dev"])]),
        .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4", providers: [.apt(["libtiff-dev"])]),

        // Tests.
        .target(
            name: "TestSupport", dependencies: ["Operators", "Safetensors"], path: "Tests/TestSupport"),
        .testTarget(name: "TensorCoreTests", dependencies: ["TensorCore", "CKernels", "TestSupport"]),
        .testTarget(name: "AutogradTests", dependencies: ["Operators", "Safetensors", "TestSupport"]),
        .testTarget(name: "OperatorTests", dependencies: ["Operators", "Safetensors", "TestSupport"]),
        .testTarget(name: "GraphTests", dependencies: ["GraphIR", "TestSupport"]),
        .testTarget(name: "NNTests", dependencies: ["NN", "Optim", "Safetensors", "TestSupport"]),
        .testTarget(name: "VisionTests", dependencies: ["Vision", "CPicture", "Safetensors", "TestSupport"]),
        .testTarget(name: "FilesTests", dependencies: ["Files", "Safetensors", "TestSupport"]),
        .testTarget(name: "ONNXTests", dependencies: ["ONNX", "Safetensors", "TestSupport"]),
        .testTarget(name: "ReportsTests", dependencies: ["Reports", "CEvents", "TestSupport"]),
        .testTarget(name: "TrainingTests", dependencies: ["Training", "Safetensors", "TestSupport"]),
        .testTarget(name: "CommandTests", dependencies: ["FinetuneCommand", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
