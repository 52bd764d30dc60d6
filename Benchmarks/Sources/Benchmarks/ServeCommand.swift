// SPDX-License-Identifier: MIT
import Foundation
import Synchronization

/// The application on its ports of `Benchmarks/config`, for any load generator, until Ctrl-C.
struct ServeCommand {
    private static let stopping = Atomic<Bool>(false)
    private let options: [String]

    init(_ options: [String]) throws {
        guard options.isEmpty || options == ["--no-process-executor"] else { throw Failure(Benchmarks.usage) }
        self.options = options
    }

    func run() throws {
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { Self.stopping.store(true, ordering: .relaxed) }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        let place = try Workplace()
        defer { place.close() }
        let config = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("config").path
        let server = [place.program("BenchServer")]
        try startRedis(place, try table(server + ["redis", "--config", config]))
        // The columns are id, type, host, port, client port, which backends do not have.
        let servers = try table(server + ["list", "--config", config]).filter { $0.count > 4 && $0[1] != "master" }
        // Backends first: frontends call them.
        let children = try servers.sorted { $0[4] < $1[4] }.map { columns in
            try place.start(columns[0], server + ["--config", config, "--id", columns[0]] + options, core: nil)
        }
        for child in children { try child.awaitOutput("\nup \(child.name)") }
        let urls = servers.filter { Int($0[4]) != nil }.map { "\($0[0]) tcp and ws://127.0.0.1:\($0[4])" }
        Benchmarks.say("up: \(urls.joined(separator: ", ")) (logs in \(place.folder.path), Ctrl-C stops everything)")
        while !Self.stopping.load(ordering: .relaxed) {
            Thread.sleep(forTimeInterval: 0.1)
            if let dead = children.first(where: { !$0.isRunning }) {
                throw Failure("\(dead.name) ended; its last lines:\n\(dead.lastLines)")
            }
        }
        Benchmarks.say("stopping")
    }

    private func startRedis(_ place: Workplace, _ address: [[String]]) throws {
        guard let row = address.first, row.count > 1 else { throw Failure("no Redis is configured") }
        let (host, port) = (row[0], row[1])
        do {
            _ = try Child.output(of: ["redis-cli", "-h", host, "-p", port, "ping"])
        } catch {
            let redis = try place.start(
                "redis", ["redis-server", "--port", port, "--bind", host, "--save", "", "--dir", place.folder.path],
                core: nil)
            try redis.awaitOutput("Ready to accept connections")
        }
    }

    /// Lines of tab-separated columns.
    private func table(_ command: [String]) throws -> [[String]] {
        try Child.output(of: command).split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
