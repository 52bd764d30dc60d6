// SPDX-License-Identifier: MIT
import Foundation

/// Redis servers of a benchmark: one alone, or the three primaries of a cluster.
struct RedisServers {
    let ports: [Int]
    private let children: [Child]

    /// One server.
    init(_ place: Workplace) throws {
        (ports, children) = try Self.start(place, 1, [])
    }

    /// A cluster of three, the slots in equal shares in the order of the ports.
    init(clusterAt place: Workplace) throws {
        (ports, children) = try Self.start(place, 3, ["--cluster-enabled", "yes"])
        _ = try Child.output(
            of: ["redis-cli", "--cluster", "create"] + ports.map { "127.0.0.1:\($0)" } + ["--cluster-yes"])
        let limit = Date(timeIntervalSinceNow: 20)
        while Date() < limit {
            let states = try ports.map { try Child.output(of: ["redis-cli", "-p", "\($0)", "cluster", "info"]) }
            if states.allSatisfy({ $0.contains("cluster_state:ok") && $0.contains("cluster_known_nodes:3") }) { return }
            Thread.sleep(forTimeInterval: 0.1)
        }
        throw Failure("the cluster did not come up")
    }

    private static func start(_ place: Workplace, _ count: Int, _ options: [String]) throws -> ([Int], [Child]) {
        // The nodes of a cluster speak to each other on ports that are higher by 10 000.
        let ports = Array(try place.freePorts(8 * count).filter { $0 <= 55_535 }.prefix(count))
        guard ports.count == count else { throw Failure("too few free ports") }
        let children = try ports.map { port in
            let child = try place.start(
                "redis-\(port)",
                ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", place.folder.path]
                    + (options.isEmpty ? [] : options + ["--cluster-config-file", "nodes-\(port).conf"]),
                core: Workplace.loadCore)
            try child.awaitOutput("Ready to accept connections")
            return child
        }
        return (ports, children)
    }

    /// Nanoseconds of CPU time that their main threads have used so far.
    var cpu: Double {
        children.reduce(0) { sum, child in
            let text = FileManager.default.contents(atPath: "/proc/\(child.pid)/schedstat") ?? Data()
            return sum + (String(decoding: text, as: UTF8.self).split(separator: " ").first.flatMap { Double($0) } ?? 0)
        }
    }

    func stop() {
        for child in children { child.stop() }
    }
}
