// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo
import PomeloCluster

/// `Chat list`: the servers that run, as the registry has them and as each says itself.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo list`, which needed the master and left out who was late.
struct ListCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "list", abstract: "Prints the servers of the cluster that run.")
    }

    private static var patience: Duration { .seconds(2) }

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Prints a JSON array instead; bytes and seconds.")
    var json = false

    func run() async throws {
        try await reported { try await list() }
    }

    @Loop private func list() async throws {
        let configuration = try options.load(Program.folder)
        let question = try ClusterQuestion("list", configuration)
        let servers = try await question.registered().sorted { ($0.type, $0.id) < ($1.type, $1.id) }
        let answers = try await question.of(servers) { transport in
            await Self.ask(servers, transport)
        }
        let rows = servers.map { RunningServer(info: $0, node: answers.all[$0.id]) }
        if json {
            Console.json(.array(rows.map(\.json)))
        } else if !rows.isEmpty {
            for line in Self.table([RunningServer.titles] + rows.map(\.columns)) { Console.line(line) }
        }
        if rows.isEmpty { return Console.error("no server of the cluster \(configuration.clusterName) runs") }
        for (id, reason) in answers.reasons.sorted(by: { $0.key < $1.key }) {
            Console.error("\(id) does not answer: \(reason)")
        }
        guard !rows.contains(where: \.isMaster) else { return }
        // One that is gone is registered until its lease has ended.
        let isKnown = servers.contains { $0.type == .master }
        let (what, condition) = isKnown ? ("answers", ", if none runs") : ("runs", "")
        Console.error("no master \(what): nobody starts again what ends\(condition)")
    }

    /// All at once; who does not answer is absent.
    @Loop private static func ask(_ servers: [ServerInfo], _ transport: any RPCTransport) async -> NodeAnswers {
        let answers = NodeAnswers()
        await withDiscardingTaskGroup { group in
            for server in servers {
                group.addTask { @Loop @Sendable in
                    do {
                        let answer = try await transport.ask(server.id, "nodeInfo", within: patience)
                        answers.all[server.id] = answer
                    } catch {
                        answers.reasons[server.id] = "\(error)"
                    }
                }
            }
        }
        return answers
    }

    private static func table(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: max(0, $1 - $0.count)) }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }
}

@Loop private final class NodeAnswers {
    var all: [ServerID: JSON] = [:]
    /// Why there is none.
    var reasons: [ServerID: String] = [:]
}

/// A server of the registry, and what it says of itself.
private struct RunningServer {
    static let titles = ["ID", "TYPE", "PID", "STATE", "UPTIME", "MEMORY", "CPU", "SESSIONS", "INSTANCE", "VERSION"]

    let info: ServerInfo
    /// Nil when it does not answer.
    let node: JSON?

    var isMaster: Bool { info.type == .master && node != nil }
    private var state: String { node == nil ? "\(info.state.rawValue), silent" : info.state.rawValue }
    private var uptime: Double? { node?["uptime"]?.double }

    var columns: [String] {
        let cpu = node?["cpu"]?.double.flatMap { used in uptime.map { used / max($0, 0.001) * 100 } }
        return [
            info.id.rawValue, info.type.rawValue, node?["pid"]?.int.map(String.init) ?? "", state,
            uptime.map(Self.time) ?? "", node?["rss"]?.int.map { "\($0 >> 20) MiB" } ?? "",
            cpu.map { "\(Int($0.rounded()))%" } ?? "", node?["sessions"]?.int.map(String.init) ?? "",
            info.instance.rawValue, node?["version"]?.string ?? "",
        ]
    }

    var json: JSON {
        var object = node?.object ?? [:]
        object["id"] = .string(info.id.rawValue)
        object["type"] = .string(info.type.rawValue)
        object["state"] = .string(info.state.rawValue)
        object["instance"] = .string(info.instance.rawValue)
        object["answers"] = .bool(node != nil)
        return .object(object)
    }

    /// The two largest units: `3d 4h`, `12s`.
    private static func time(_ seconds: Double) -> String {
        let whole = Int(min(max(seconds, 0), 1e12))
        let parts = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        let shown = parts.drop { $0.0 == 0 }.prefix(2)
        return shown.isEmpty ? "0s" : shown.map { "\($0)\($1)" }.joined(separator: " ")
    }
}
