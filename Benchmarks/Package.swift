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
    dependencies: [
        .package(name: "pomelo-swift", path: "..", traits: [.defaults, "Keel", "TLS"]),
        // For one contestant: a Redis client on another foundation.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // What we compare with: C on libuv, doing the same work on its sockets.
        .executableTarget(
            name: "Reference", cSettings: [.define("_GNU_SOURCE")],
            linkerSettings: ["uv", "ssl", "crypto", "z"].map { .linkedLibrary($0) }),
        // What drives both.
        .executableTarget(
            name: "Load", cSettings: [.define("_GNU_SOURCE")],
            linkerSettings: ["ssl", "crypto", "z"].map { .linkedLibrary($0) }),
        .executableTarget(
            name: "BenchServer",
            dependencies: [
                "Pomelo", "PomeloCluster", "PomeloCommand", "PomeloExtensions", "PomeloGlobalChannel", "PomeloKeel",
                "PomeloRedis", "PomeloStatus",
            ]
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
        // Clients of Redis: bare hiredis on libuv, ours, and one on SwiftNIO.
        .executableTarget(
            name: "RedisReference", dependencies: ["CAllocations"],
            linkerSettings: [.linkedLibrary("uv"), .linkedLibrary("hiredis")]),
        .executableTarget(
            name: "RedisLoad",
            dependencies: ["CAllocations"]
                + ["Pomelo", "PomeloRedis"].map { .product(name: $0, package: "pomelo-swift") },
            swiftSettings: strict),
        .executableTarget(
            name: "SyncLoad",
            dependencies: ["Pomelo", "PomeloCluster", "PomeloRedis", "PomeloSync", "PomeloSyncSQLite"]
                .map { .product(name: $0, package: "pomelo-swift") },
            swiftSettings: strict),
        .executableTarget(
            name: "RedisNIO",
            dependencies: ["CAllocations"] + ["NIOCore", "NIOPosix"].map { .product(name: $0, package: "swift-nio") },
            swiftSettings: strict),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "BenchServer", "InProcess", "Load", "Reference", "RedisLoad", "RedisNIO", "RedisReference", "SyncLoad",
            ],
            swiftSettings: strict),
    ]
)
