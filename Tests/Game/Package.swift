// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "game",
    dependencies: [
        .package(name: "pomelo-swift", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "Game",
            dependencies: [
                .product(name: "Pomelo", package: "pomelo-swift"),
                .product(name: "PomeloCluster", package: "pomelo-swift"),
                .product(name: "PomeloCommand", package: "pomelo-swift"),
                .product(name: "PomeloGlobalChannel", package: "pomelo-swift"),
                .product(name: "PomeloRedis", package: "pomelo-swift"),
                .product(name: "PomeloStatus", package: "pomelo-swift"),
                .product(name: "Logging", package: "swift-log"),
            ])
    ]
)
