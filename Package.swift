// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every Swift target: see ARCHITECTURE.md, "House rules".
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
/// What counts, and what shows a test the counts.
let counted: [Target.Dependency] = [metrics, .product(name: "MetricsTestKit", package: "swift-metrics")]
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["CommandLine"]))

/// Bytes, texts and JSON, which nearly every room reads and writes.
let text: [Target.Dependency] = ["PomeloBytes", "PomeloJSON"]

/// The core and what it brings along: a change of what is only brought along would not be built into who depends on it.
let core: [Target.Dependency] = ["PomeloCore", "PomeloContract", "PomeloConfiguration", "PomeloCron"]
/// What `Pomelo` brings along, for the same reason.
let brought = [
    "PomeloCore", "PomeloContract", "PomeloConfiguration", "PomeloCron", "PomeloRPC", "PomeloConnectors", "PomeloBytes",
    "PomeloJSON", "PomeloWire", "PomeloLoop", "PomeloTLS",
]
let whole: [Target.Dependency] = ["Pomelo"] + brought.map { .target(name: $0) }

/// What a service on Redis may import; services never import each other.
let service: [Target.Dependency] = core + ["PomeloPublication", "PomeloRedis", "PomeloLoop", log] + text
/// What a sink of `PomeloSync` in a room of its own may import.
let sink: [Target.Dependency] = ["PomeloSync", "PomeloCore", "PomeloContract", "PomeloLoop", "PomeloBytes"]
let libpq = Target.Dependency.target(name: "CLibpq", condition: .when(traits: ["Postgres"]))
/// What the HTTP rim of outside plugins stands on.
let http: [Target.Dependency] = [
    "PomeloLibc",
    .product(name: "HummingbirdCore", package: "hummingbird", condition: .when(traits: ["Keel"])),
    .product(name: "AsyncHTTPClient", package: "async-http-client", condition: .when(traits: ["Keel"])),
    .product(name: "JWTKit", package: "jwt-kit", condition: .when(traits: ["Keel"])),
    .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Keel"])),
    .product(name: "NIOHTTP1", package: "swift-nio", condition: .when(traits: ["Keel"])),
    .product(name: "NIOPosix", package: "swift-nio", condition: .when(traits: ["Keel"])),
]
let libssl = Target.Dependency.target(name: "COpenSSL", condition: .when(traits: ["TLS"]))
let lua: [Resource] = [.embedInCode("Scripts")]
let example: [Target.Dependency] =
    whole + [
        "PomeloCommand", "PomeloCluster", "PomeloGlobalChannel", "PomeloStatus", "PomeloRedis", log,
    ]

/// What most tests work with.
let bench: [Target.Dependency] =
    [
        "TestHelpers", "PomeloTesting", "PomeloPublication", "PomeloRedis", "PomeloWire", "PomeloLoop", "PomeloUV", log,
    ] + core + text

/// What tests of whole servers work with beside that.
let served: [Target.Dependency] = ["Pomelo", "PomeloRPC", "PomeloConnectors"]

func room(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func program(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .executableTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let package = Package(
    name: "pomelo-swift",
    products: [
        .library(name: "Pomelo", targets: ["Pomelo"] + brought),
        .library(name: "PomeloCluster", targets: ["PomeloCluster"]),
        .library(name: "PomeloGlobalChannel", targets: ["PomeloGlobalChannel"]),
        .library(name: "PomeloStatus", targets: ["PomeloStatus"]),
        .library(name: "PomeloSync", targets: ["PomeloSync"]),
        .library(name: "PomeloSyncSQLite", targets: ["PomeloSyncSQLite"]),
        // Empty without the trait.
        .library(name: "PomeloSyncPostgres", targets: ["PomeloSyncPostgres"]),
        .library(name: "PomeloExtensions", targets: ["PomeloExtensions"]),
        .library(name: "PomeloPlugins", targets: ["PomeloPlugins"]),
        // Empty without the trait.
        .library(name: "PomeloKeel", targets: ["PomeloKeel"]),
        .library(name: "PomeloRedis", targets: ["PomeloRedis"]),
        .library(name: "PomeloCommand", targets: ["PomeloCommand"]),
        .library(name: "PomeloTesting", targets: ["PomeloTesting"]),
        .executable(name: "pomelo", targets: ["PomeloTool"]),
        .executable(name: "Chat", targets: ["Chat"]),
        .executable(name: "LessonChat", targets: ["LessonChat"]),
    ],
    traits: [
        .trait(name: "Postgres", description: "PomeloSyncPostgres, and libpq with it."),
        .trait(name: "Keel", description: "PomeloKeel, and an HTTP server and client with it."),
        .trait(name: "TLS", description: "TLS for clients and Redis, and OpenSSL with it."),
        .trait(name: "CommandLine", description: "PomeloCommand, and swift-argument-parser with it."),
        .default(enabledTraits: ["CommandLine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // L0: C
        .systemLibrary(name: "CLibuv", providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "CLibpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"]), .brew(["openssl"])]),
        .target(name: "CPomelo", linkerSettings: [.linkedLibrary("uv")]),
        room("PomeloLibc", []),
        // L1
        room("PomeloBytes", []),
        room("PomeloJSON", ["PomeloBytes"]),
        room("PomeloWire", text),
        room("PomeloLoop", ["PomeloLibc", "CLibuv", "CPomelo", collections]),
        room("PomeloContract", text),
        // L2
        room("PomeloConfiguration", text + ["PomeloContract", "PomeloLoop"]),
        room("PomeloUV", ["PomeloLibc", "PomeloLoop", "CLibuv", "CPomelo", collections]),
        room("PomeloDeflate", ["PomeloBytes", "CZlib"]),
        room("PomeloTLS", ["PomeloLibc", "PomeloLoop", collections, libssl]),
        room("PomeloCron", ["PomeloConfiguration", "PomeloContract", "PomeloJSON", "PomeloLoop", log, metrics]),
        room(
            "PomeloCore",
            text + [
                "PomeloContract", "PomeloConfiguration", "PomeloCron", "PomeloWire", "PomeloLoop", log, metrics,
                collections,
            ]),
        // L3
        room(
            "PomeloRedis",
            [
                "PomeloLibc", "PomeloBytes", "PomeloLoop", "PomeloUV", "PomeloTLS", "CHiredis", "CPomelo", log, metrics,
                crypto,
                collections,
            ]),
        room("PomeloRPC", core + text + ["PomeloWire", "PomeloLoop", log, crypto]),
        room("PomeloPublication", core + ["PomeloLoop", log]),
        room("PomeloExtensions", core + text + ["PomeloLoop", log, metrics]),
        room(
            "PomeloConnectors",
            core + text + ["PomeloDeflate", "PomeloTLS", "PomeloWire", "PomeloLoop", log, crypto, collections]),
        room("PomeloSupervision", ["PomeloLibc", "PomeloBytes", "PomeloContract", "PomeloLoop", "PomeloUV"]),
        room("PomeloOperations", core + text + ["PomeloLoop", log, metrics, crypto, cryptoExtras]),
        // L4
        room("PomeloCluster", service + [metrics], resources: lua),
        room("PomeloGlobalChannel", service, resources: lua),
        room("PomeloStatus", service, resources: lua),
        room("PomeloSync", core + text + ["PomeloRedis", "PomeloLoop", log, metrics, collections], resources: lua),
        room(
            "PomeloPlugins",
            core + text + [
                "PomeloExtensions", "PomeloCluster", "PomeloRedis", "PomeloLoop", log, metrics, crypto, collections,
            ], resources: lua),
        // L5
        room(
            "PomeloKeel",
            core + text + [
                "PomeloExtensions", "PomeloPlugins", "PomeloCluster", "PomeloGlobalChannel", "PomeloStatus",
                "PomeloRedis", "PomeloLoop", log, metrics, crypto,
            ] + http),
        room("PomeloSyncSQLite", sink + ["PomeloLibc", "CSQLite"]),
        room("PomeloSyncPostgres", sink + ["PomeloLibc", libpq]),
        room(
            "Pomelo",
            core + text + ["PomeloRPC", "PomeloConnectors", "PomeloWire", "PomeloLoop", "PomeloUV", log]),
        room(
            "PomeloTesting",
            service + [
                "PomeloLibc", "PomeloWire", "PomeloUV", "PomeloTLS", "PomeloSupervision", "PomeloCluster",
                "PomeloGlobalChannel", "PomeloStatus", "PomeloSync",
            ]),
        // L6
        room(
            "PomeloCommand",
            whole + [
                "PomeloCluster", "PomeloRedis", "PomeloSupervision", "PomeloOperations", "PomeloUV", log, arguments,
            ]),
        program(
            "PomeloTool", ["PomeloLoop", "PomeloUV", arguments], resources: [.embedInCode("Project")]),
        program(
            "Chat", example + ["PomeloExtensions", "PomeloPlugins", "PomeloKeel", "PomeloSync", "PomeloSyncSQLite"]),
        program("LessonChat", example),
        program("RedisVisits", ["PomeloLoop", "PomeloRedis"]),
        program("PipeChat", whole + ["PomeloCommand", "PomeloRedis", log]),
        // Tests
        .target(
            name: "TestHelpers",
            dependencies: [
                "PomeloTesting", "PomeloContract", "PomeloConfiguration", "PomeloCron", "PomeloCore", "PomeloRedis",
                "PomeloBytes", "PomeloLoop", "PomeloLibc", "PomeloUV", "PomeloTLS", "PomeloSupervision",
                "CLibuv", log,
            ],
            path: "Tests/TestHelpers", swiftSettings: strict),
        .executableTarget(
            name: "SyncServer",
            dependencies: whole + [
                "PomeloCommand", "PomeloCluster", "PomeloRedis", "PomeloSync", "PomeloSyncSQLite", "PomeloSyncPostgres",
                log,
            ],
            path: "Tests/SyncServer", exclude: ["config"], swiftSettings: strict),
        .executableTarget(
            name: "UDPServer", dependencies: whole + ["PomeloCommand", "PomeloRedis"], path: "Tests/UDPServer",
            exclude: ["config"], swiftSettings: strict),
        tests("TidyTests", []),
        // Little without the trait.
        tests("PomeloTLSTests", bench + ["PomeloTLS", libssl]),
        tests("PomeloWireTests", text + ["PomeloWire"], exclude: ["Protobuf/Vectors"]),
        tests("PomeloDeflateTests", ["PomeloDeflate", "PomeloBytes"]),
        tests("PomeloLoopTests", ["TestHelpers", "PomeloLoop", "CLibuv", "CPomelo"]),
        tests("PomeloUVTests", ["TestHelpers", "PomeloTesting", "PomeloUV", "PomeloLoop", "CLibuv", "CPomelo"]),
        tests(
            "PomeloSupervisionTests", ["TestHelpers", "PomeloSupervision", "PomeloContract", "PomeloUV", "PomeloLoop"]),
        tests("PomeloOperationsTests", bench + ["PomeloOperations"]),
        tests("PomeloCoreTests", bench + counted),
        tests("PomeloRedisTests", bench + counted + ["PomeloTLS", "CHiredis", "CPomelo"]),
        tests("PomeloExtensionsTests", bench + ["PomeloExtensions"]),
        tests("PomeloPluginsTests", bench + ["PomeloExtensions", "PomeloPlugins", "PomeloCluster"]),
        // Empty without the trait.
        tests(
            "PomeloKeelTests",
            bench + ["PomeloExtensions", "PomeloPlugins", "PomeloCluster", "PomeloKeel", crypto] + http),
        tests("PomeloSyncTests", bench + ["PomeloSync"]),
        tests("PomeloSyncSQLiteTests", bench + ["PomeloSync", "PomeloSyncSQLite"]),
        // Empty without the trait.
        tests("PomeloSyncPostgresTests", bench + ["PomeloSync", "PomeloSyncPostgres"]),
        tests("PomeloRPCTests", bench + ["PomeloRPC", crypto], exclude: ["Vectors"]),
        tests(
            "PomeloConnectorsTests", bench + ["PomeloConnectors", "PomeloDeflate", "PomeloTLS", "PipeChat"],
            exclude: ["SocketIO/Transcripts"]),
        tests("PomeloGlobalChannelTests", bench + ["PomeloGlobalChannel", "PomeloCluster"]),
        tests("PomeloStatusTests", bench + ["PomeloStatus", "PomeloCluster"]),
        tests("PomeloClusterTests", bench + ["PomeloCluster"]),
        tests("SimulationTests", bench + ["PomeloGlobalChannel", "PomeloStatus", "PomeloCluster", "PomeloSync"]),
        tests("TranscriptTests", bench + served + ["PomeloGlobalChannel", "PomeloStatus"], exclude: ["Transcripts"]),
        tests(
            "PomeloTests", bench + served + ["PomeloGlobalChannel", "PomeloStatus", "PomeloCluster"], exclude: ["Game"]),
        tests(
            "ProcessTests",
            bench + [
                "Chat", "LessonChat", "PipeChat", "RedisVisits", "SyncServer", "UDPServer", "PomeloGlobalChannel",
                "PomeloStatus", "PomeloSync", "PomeloSyncSQLite", "PomeloSyncPostgres", "PomeloExtensions",
                "PomeloPlugins", "PomeloTLS",
                "PomeloKeel",
            ]),
    ]
)
