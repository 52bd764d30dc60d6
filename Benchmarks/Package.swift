// swift-tools-version: 6.2
import PackageDescription

/// The rules of the main package.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "pomelo-swift", path: "..")],
    targets: [
        // What we compare with: C on libuv, doing the same work on its sockets.
        .executableTarget(name: "Reference", linkerSettings: [.linkedLibrary("uv")]),
        // What drives both.
        .executableTarget(name: "Load", cSettings: [.define("_GNU_SOURCE")]),
        .executableTarget(
            name: "BenchServer",
            dependencies: ["Pomelo", "PomeloCluster", "PomeloCommand", "PomeloGlobalChannel", "PomeloRedis", "PomeloStatus"]
                .map { .product(name: $0, package: "pomelo-swift") },
            swiftSettings: strict),
        // Counts allocations.
        .target(name: "CAllocations"),
        .executableTarget(
            name: "InProcess", dependencies: ["CAllocations", .product(name: "Pomelo", package: "pomelo-swift")],
            swiftSettings: strict),
        .executableTarget(
            name: "Calls", dependencies: [.product(name: "Pomelo", package: "pomelo-swift")], swiftSettings: strict),
        .executableTarget(
            name: "JSONCost", dependencies: [.product(name: "Pomelo", package: "pomelo-swift")], swiftSettings: strict),
        .executableTarget(
            name: "Benchmarks", dependencies: ["BenchServer", "InProcess", "Load", "Reference"],
            swiftSettings: strict),
    ]
)
