// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "greeter",
    dependencies: [
        // Beside this folder; or `url:` and a version, where it comes from a Git server.
        .package(name: "pomelo-swift", path: "../pomelo-swift"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "Greeter",
            dependencies: [
                .product(name: "Pomelo", package: "pomelo-swift"),
                .product(name: "PomeloCluster", package: "pomelo-swift"),
                .product(name: "PomeloCommand", package: "pomelo-swift"),
                .product(name: "PomeloRedis", package: "pomelo-swift"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "GreeterTests",
            dependencies: ["Greeter", .product(name: "PomeloTesting", package: "pomelo-swift")]),
    ]
)
