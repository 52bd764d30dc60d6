// SPDX-License-Identifier: MIT
import Foundation

/// Where the programs are, and a folder for configuration and logs that goes away in the end.
final class Workplace {
    /// The core of all servers under measurement; the load generator has another.
    static let serverCore = 0
    static let loadCore = 1

    let folder: URL
    private let programs: URL
    private var children: [Child] = []

    init() throws {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        programs = URL(fileURLWithPath: own).deletingLastPathComponent()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "pomelo-benchmarks-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in [
            "BenchServer", "InProcess", "Load", "RedisLoad", "RedisNIO", "RedisReference", "Reference", "SyncLoad",
        ] {
            guard FileManager.default.isExecutableFile(atPath: program(name)) else {
                throw Failure("\(program(name)) is missing: swift build -c release --package-path Benchmarks")
            }
        }
    }

    func program(_ name: String) -> String { programs.appendingPathComponent(name).path }

    /// Starts a program that lives until `close`, or `stop`.
    func start(_ name: String, _ command: [String], core: Int? = serverCore) throws -> Child {
        let child = try Child(name, command, core: core, log: folder.appendingPathComponent("\(name).log"))
        children.append(child)
        return child
    }

    func freePorts(_ count: Int) throws -> [Int] {
        let line = try Child.output(of: [program("Load"), "ports", "count=\(count)"])
        return LoadRun.pairs(line)["ports"]?.split(separator: ",").compactMap { Int($0) } ?? []
    }

    /// Starts a Redis for one cluster and returns its port.
    func startRedis(_ cluster: String) throws -> Int {
        let port = try freePorts(1)[0]
        // Not on the core of the servers: it is not what we measure.
        let redis = try start(
            "redis-\(cluster)",
            ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", folder.path],
            core: Self.loadCore)
        try redis.awaitOutput("Ready to accept connections")
        return port
    }

    /// Stops everything, last started first.
    func close() {
        for child in children.reversed() { child.stop() }
        children = []
        do {
            try FileManager.default.removeItem(at: folder)
        } catch {
            Benchmarks.say("\(folder.path) remains: \(error)")
        }
    }
}
