// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo

/// `Chat plugins list`, `Chat plugins register acme-words --url http://127.0.0.1:8080`: services in other processes
/// that are plugins of the cluster.
///
/// Every server that serves plugins answers for all of them; the first that answers is asked.
struct PluginsCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "plugins",
            abstract: "Lists, shows, registers and removes plugins of other processes, and settles their dead letters.",
            usage: usage,
            discussion: """
                Of a list the columns are id, version, status, addresses, reason; of dead letters number, reason, the \
                beginning of the body. The secret of a plugin that is registered is the one line on standard output, \
                and is not shown again.
                """)
    }

    static var usage: String {
        """
        \(Program.self) plugins list [--id <id>] [--env <env>] [--config <folder>]
        \(Program.self) plugins show | remove [--force] | dead-letters <plugin>
        \(Program.self) plugins register <plugin> [--url <url>] [--replace]
        \(Program.self) plugins retry | drop <plugin> <number> ... | all
        """
    }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The server that is asked; without it the first that serves plugins and answers.")
    var id: String?

    @Option(help: "Where a plugin is that is registered; without it what keel.json has under apps.")
    var url: String?

    @Flag(help: "Registers a plugin in the place of one of its id, whose secret ends.")
    var replace = false

    @Flag(help: "Removes a plugin that others extend, too.")
    var force = false

    @Argument(help: "A verb, the id of a plugin, and the numbers that dead-letters shows, or all.")
    var words: [String] = []

    func run() async throws {
        try await reported { try await obey() }
    }

    @Loop private func obey() async throws {
        let order = try PluginsOrder(words, url: url, replaces: replace, isForced: force)
        let configuration = try options.load(Program.folder)
        let one = id.map { ServerID($0) }
        let question = try ClusterQuestion("plugins", configuration)
        let up = try await question.registered().filter { $0.state == .up && (one == nil || $0.id == one) }
        let cluster = "no server of the cluster \(configuration.clusterName)"
        guard !up.isEmpty else { throw PomeloError(.notRunning, one.map { "\($0) is not up" } ?? "\(cluster) is up") }
        var failures: [String] = []
        for server in Self.inOrder(up) {
            let refusal = try await question.of(server) { transport in
                let host = PluginsHost(server: server.id, transport: transport)
                if let refusal = await host.refusal() { return Optional(refusal) }
                try await order.carryOut(at: host)
                return nil
            }
            guard let refusal else { return }
            // Most servers of a cluster have no plugins.
            if refusal != .hasNone { failures.append("\(server.id): \(refusal)") }
        }
        guard !failures.isEmpty else {
            throw PomeloError(.notRunning, "\(one.map { "\($0) does not serve" } ?? "\(cluster) serves") plugins")
        }
        let reasons = failures.prefix(4).joined(separator: "; ") + (failures.count > 4 ? "; …" : "")
        throw PomeloError(.unreachable, one == nil ? "\(cluster) answers for plugins: \(reasons)" : reasons)
    }

    /// Those first of which `servers.json` says where they serve plugins.
    private static func inOrder(_ servers: [ServerInfo]) -> [ServerInfo] {
        func rank(_ server: ServerInfo) -> Int { server.record.metadata["keelPort"] == nil ? 1 : 0 }
        return servers.sorted { (rank($0), $0.id) < (rank($1), $1.id) }
    }
}

/// A server that is asked about plugins.
@Loop private struct PluginsHost {
    enum Refusal: Equatable, CustomStringConvertible {
        case hasNone
        case failed(String)

        var description: String {
            switch self {
            case .hasNone: "it serves no plugins"
            case .failed(let reason): reason
            }
        }
    }

    private static let module = "plugins"
    private static let patience = Duration.seconds(5)
    /// A registration asks other processes, and who is removed may end its calls: a server takes up to 60 s.
    private static let longPatience = Duration.seconds(65)
    let server: ServerID
    let transport: any RPCTransport

    /// Nil when it can be given an order.
    ///
    /// Asked first what changes nothing: an order that may have been executed must not be given to the next one.
    func refusal() async -> Refusal? {
        do {
            _ = try await transport.ask(server, Self.module, ["do": "list"], within: Self.patience)
            return nil
        } catch RPCError.fault(code: 404, _) {
            return .hasNone
        } catch {
            return .failed("\(error)")
        }
    }

    /// What it answers.
    ///
    /// - Throws: `PomeloError` with its words when it refuses, or about its silence.
    func ask(_ order: PluginsOrder, _ message: JSONObject) async throws -> JSON {
        do {
            let patience = order.isQuick ? Self.patience : Self.longPatience
            return try await transport.ask(server, Self.module, .object(message), within: patience)
        } catch RPCError.fault(_, let message) {
            // The words are those for callers over HTTP.
            let said = message.replacing("\"force\": true", with: "--force")
                .replacing("\"replace\": true", with: "--replace").escapedForLog(maxBytes: 1024)
            throw PomeloError(.configuration, order.plugin.isEmpty ? said : "\(order.plugin): \(said)")
        } catch let error as RPCError {
            throw PomeloError(.unreachable, "\(server): \(error)")
        }
    }
}

/// What is to be done.
private struct PluginsOrder {
    enum Verb: String { case list, show, register, remove, retry, drop, deadLetters = "dead-letters" }

    /// Numbers in one message.
    private static let batch = 256
    private let verb: Verb
    /// Empty of `list`.
    let plugin: String
    /// Nil: all.
    private let numbers: [String]?
    private let url: String?
    private let replaces: Bool
    private let isForced: Bool

    init(_ words: [String], url: String?, replaces: Bool, isForced: Bool) throws {
        let rest = words.dropFirst(2)
        guard let verb = words.first.flatMap(Verb.init), (words.count > 1) == (verb != .list),
            rest.isEmpty == (verb != .retry && verb != .drop),
            Array(rest) == ["all"] || rest.allSatisfy(Self.isNumber)
        else {
            throw PomeloError(
                .configuration,
                """
                plugins list, or plugins show, register, remove or dead-letters with the id of a plugin, or plugins \
                retry or plugins drop with an id and the numbers that dead-letters shows, or with all
                """)
        }
        guard verb == .register || (url == nil && !replaces), verb == .remove || !isForced else {
            throw PomeloError(.configuration, "--url and --replace are for register, and --force is for remove")
        }
        self.verb = verb
        plugin = words.dropFirst().first ?? ""
        numbers = Array(rest) == ["all"] ? nil : Array(rest)
        (self.url, self.replaces, self.isForced) = (url, replaces, isForced)
    }

    /// Whether a text is a number of a stream of Redis, with both of its parts: other texts mean several, or none.
    private static func isNumber(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } && UInt64(part) != nil
            }
    }

    /// Whether a server answers at once.
    var isQuick: Bool { verb == .list || verb == .show || verb == .deadLetters }

    private func message(_ verb: Verb) -> JSONObject { ["do": .string(verb.rawValue), "id": .string(plugin)] }

    @Loop func carryOut(at host: PluginsHost) async throws {
        switch verb {
        case .list:
            for row in try await host.ask(self, message(.list))["plugins"]?.array ?? [] { Console.line(Self.line(row)) }
        case .show: try await show(at: host)
        case .register: try await register(at: host)
        case .remove:
            var message = message(.remove)
            message["force"] = .bool(isForced)
            _ = try await host.ask(self, message)
            Console.line("\(plugin) removed")
        case .deadLetters: try await listLetters(at: host)
        case .retry, .drop: try await settle(at: host)
        }
    }

    /// Id, version, status, addresses, reason.
    private static func line(_ row: JSON) -> String {
        let urls = (row["urls"]?.array ?? []).compactMap(\.string).joined(separator: ",")
        let texts = ["id", "version", "status"].map { row[$0]?.string ?? "" } + [urls, row["reason"]?.string ?? ""]
        return texts.map { $0.escapedForLog(maxBytes: 512) }.joined(separator: "\t")
    }

    /// A line for each thing that is known: a name, and a text or JSON.
    @Loop private func show(at host: PluginsHost) async throws {
        guard let plugin = try await host.ask(self, message(.show))["plugin"]?.object else {
            throw PomeloError(.unreachable, "\(host.server) answers with something else")
        }
        for key in plugin.keys {
            let value = plugin[key] ?? .null
            let text = value.string ?? String(decoding: value.encoded(), as: UTF8.self)
            Console.line("\(key.escapedForLog(maxBytes: 128))\t\(text.escapedForLog(maxBytes: 1 << 20))")
        }
    }

    @Loop private func register(at host: PluginsHost) async throws {
        var message = message(.register)
        if let url { message["url"] = .string(url) }
        message["replace"] = .bool(replaces)
        guard let secret = try await host.ask(self, message)["secret"]?.string else {
            throw PomeloError(.unreachable, "\(host.server) answers with something else")
        }
        Console.error("\(plugin) registered; its own secret, which is not shown again, is:")
        Console.line(secret)
    }

    // MARK: dead letters

    @Loop private func listLetters(at host: PluginsHost) async throws {
        var isEmpty = true
        try await pages(of: host) { letter in
            isEmpty = false
            let texts = ["number", "reason", "body"].map { letter[$0]?.string?.escapedForLog(maxBytes: 256) ?? "" }
            Console.line(texts.joined(separator: "\t"))
        }
        if isEmpty { try await requireRegistered(at: host) }
    }

    @Loop private func settle(at host: PluginsHost) async throws {
        var asked = numbers ?? []
        if numbers == nil { try await pages(of: host) { asked += $0["number"]?.string.map { [$0] } ?? [] } }
        var done: Set<Text> = []
        for start in stride(from: 0, to: asked.count, by: Self.batch) {
            var message = message(verb)
            message["numbers"] = .array(asked[start...].prefix(Self.batch).map { .string($0) })
            let answer = try await host.ask(self, message)
            done.formUnion((answer["done"]?.array ?? []).compactMap { $0.string.map { Text($0) } })
        }
        if done.isEmpty { try await requireRegistered(at: host) }
        Console.line("\(plugin): \(done.count) \(verb == .retry ? "tried again" : "dropped")")
        // Of all of them somebody else may have settled some meanwhile.
        let left = (numbers ?? []).filter { !done.contains(Text($0)) }
        guard left.isEmpty else {
            let names = left.prefix(8).joined(separator: ", ") + (left.count > 8 ? ", …" : "")
            throw PomeloError(.configuration, "\(plugin) has no dead letter \(names)")
        }
    }

    /// One that is not registered has no letters either, and its id is more likely a slip.
    @Loop private func requireRegistered(at host: PluginsHost) async throws {
        _ = try await host.ask(self, message(.show))
    }

    @Loop private func pages(of host: PluginsHost, _ each: (JSON) -> Void) async throws {
        var message = message(.deadLetters)
        while true {
            let letters = try await host.ask(self, message)["letters"]?.array ?? []
            for letter in letters { each(letter) }
            guard let end = letters.last?["number"], end != message["after"] else { return }
            message["after"] = end
        }
    }
}
