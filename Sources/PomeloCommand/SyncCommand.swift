// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo

/// `Chat sync list`, `Chat sync retry --id chat-server-1 7 8`: what becomes of values that no sink has taken.
///
/// A server has its dead letters itself, and is asked.
struct SyncCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "sync",
            abstract: "Lists the dead letters of sync, tab-separated; has them tried again; drops them.",
            usage: usage)
    }

    static var usage: String {
        """
        \(Program.self) sync list [--id <id>] [--env <env>] [--config <folder>]
        \(Program.self) sync retry | drop --id <id> <number> ... | all
        """
    }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Whose dead letters; POMELO_ID when it is not given; `list` alone shows those of all servers.")
    var id: String?

    @Argument(help: "list, or retry or drop and the numbers that list shows, or all.")
    var words: [String] = []

    func run() async throws {
        try await reported { try await obey() }
    }

    @Loop private func obey() async throws {
        let order = try SyncOrder(words)
        let isForAll = order.verb == .list && (id ?? EnvironmentVariables.ofProcess.id) == nil
        let (configuration, one): (Configuration, ServerID?) =
            isForAll ? (try options.load(Program.folder), nil) : try options.load(Program.folder, of: id)
        let question = try ClusterQuestion("sync", configuration)
        let up = try await question.registered().filter { $0.state == .up && (one == nil || $0.id == one) }
        if let one, up.isEmpty {
            throw PomeloError(.notRunning, "\(one) is not up; its dead letters wait for its start")
        }
        for server in up.sorted(by: { $0.id < $1.id }) {
            do {
                try await question.of(server) { try await order.carryOut(at: server.id, by: $0) }
            } catch RPCError.fault(code: 404, _) {
                // Servers of some types keep nothing.
                if one != nil { throw PomeloError(.notRunning, "\(server.id) does not use sync") }
            } catch let error as RPCError {
                throw PomeloError(.unreachable, "\(server.id): \(error)")
            }
        }
    }
}

/// What one server is to do with its dead letters.
private struct SyncOrder {
    enum Verb: String { case list, retry, drop }

    private static let patience = Duration.seconds(5)
    let verb: Verb
    /// Nil: all.
    private let numbers: [Int64]?

    init(_ words: [String]) throws {
        let rest = words.dropFirst()
        let numbers = rest.compactMap { Int64($0) }
        guard let verb = words.first.flatMap(Verb.init), verb == .list ? rest.isEmpty : !rest.isEmpty,
            numbers.count == rest.count || Array(rest) == ["all"]
        else {
            throw PomeloError(
                .configuration, "sync list, or sync retry or sync drop with the numbers that list shows, or with all")
        }
        self.verb = verb
        self.numbers = numbers.isEmpty ? nil : numbers
    }

    @Loop func carryOut(at server: ServerID, by transport: any RPCTransport) async throws {
        if verb == .list { return try await pages(of: server, transport) { Console.line(Self.line($0, server)) } }
        var asked = numbers ?? []
        if numbers == nil { try await pages(of: server, transport) { asked += $0["number"]?.int.map { [$0] } ?? [] } }
        let message: JSON = ["do": .string(verb.rawValue), "numbers": .array(asked.map { .int($0) })]
        let answer = try await transport.ask(server, "sync", message, within: Self.patience)
        let done = Set((answer["done"]?.array ?? []).compactMap(\.int))
        Console.line("\(server): \(done.count) \(verb == .retry ? "tried again" : "dropped")")
        let left = Set(asked).subtracting(done).sorted()
        guard left.isEmpty else {
            let names = left.prefix(8).map(String.init).joined(separator: ", ") + (left.count > 8 ? ", …" : "")
            let why = verb == .retry ? ", or none with a value and a sink" : ""
            throw PomeloError(.configuration, "\(server) has no dead letter \(names)\(why)")
        }
    }

    @Loop private func pages(
        of server: ServerID, _ transport: any RPCTransport, _ each: (JSON) -> Void
    ) async throws {
        var last: Int64 = 0
        while true {
            let message: JSON = ["do": "list", "after": .int(last)]
            let answer = try await transport.ask(server, "sync", message, within: Self.patience)
            let letters = answer["letters"]?.array ?? []
            for letter in letters { each(letter) }
            guard let end = letters.last?["number"]?.int, end > last else { return }
            last = end
        }
    }

    /// Server, number, key, id or nothing, reason, the beginning of the value.
    private static func line(_ letter: JSON, _ server: ServerID) -> String {
        let number = letter["number"]?.int.map(String.init) ?? ""
        let texts = ["key", "id", "reason", "value"].map { letter[$0]?.string?.escapedForLog(maxBytes: 256) ?? "" }
        return (["\(server)", number] + texts).joined(separator: "\t")
    }
}
