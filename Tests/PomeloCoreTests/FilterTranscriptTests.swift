// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Plays the rows of FilterTranscripts.swift.
@Suite struct FilterTranscriptTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let title: String
        let commands: [String]
        let expected: [String]
        var testDescription: String { title }

        init(_ text: String) {
            let lines = text.split(separator: "\n").map(String.init)
            let mark = lines.firstIndex(of: "----") ?? lines.endIndex
            title = lines[0]
            commands = Array(lines[1..<mark])
            expected = Array(lines[mark...].dropFirst())
        }
    }

    @Test(arguments: filterTranscripts.map(Row.init))
    @Loop func happensAsWritten(_ row: Row) async throws {
        let stage = Stage(row.commands)
        try await stage.play()
        #expect(stage.journal.entries == row.expected)
    }
}

/// One connector, two chats, and what a transcript adds to them.
@Loop private final class Stage {
    let journal = Journal<String>()
    private let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 2))
    private var parts: [ServerID: [Part]] = [:]
    private var route = ""

    init(_ commands: [String]) {
        for line in commands {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if words[0] == "request" {
                route = words[1]
            } else {
                parts[ServerID(words[0]), default: []].append(Part(words, journal, cluster.clock))
            }
        }
    }

    func play() async throws {
        for id in ["connector-1", "chat-1", "chat-2"] as [ServerID] {
            try await cluster.start(id) { try self.setUp($0, self.parts[id] ?? []) }
        }
        let socket = try #require(cluster.connect("connector-1"))
        let began = cluster.clock.now
        let answering = Task { @Loop in
            let answer = await socket.ask(route) ?? "nothing"
            let seconds = (cluster.clock.now - began) / 1_000_000_000
            return seconds == 0 ? "answer \(answer)" : "answer after \(seconds) s \(answer)"
        }
        await cluster.settle()
        await cluster.advance(by: .seconds(32), step: .seconds(1))
        journal.note(await answering.value)
    }

    private func setUp(_ app: Application, _ parts: [Part]) throws {
        // One server for all sessions, so that the transcripts can name it.
        app.route("chat") { _, servers in servers[0].id }
        for part in parts { part.add(to: app) }
        let part = parts.first { $0.kind == "handler" }
        let journal = journal
        try app.handle(
            Routes {
                $0.on(raw: "\(app.serverType).test.go") { body, _ in
                    journal.note("\(app.serverID) handler")
                    try await part?.act(nil)
                    return part?.action == "echoes" ? body : []
                }
            })
    }
}

/// A filter or error handler that notes that it was there, and does what its line says.
@Loop private final class Part: Filter, RPCFilter {
    let kind: String
    let action: String
    private let name: String
    private let value: String
    private let journal: Journal<String>
    private let clock: any LoopClock

    init(_ words: [String], _ journal: Journal<String>, _ clock: any LoopClock) {
        kind = words[1]
        name = kind == "handler" ? "handler" : words[2]
        let rest = kind == "handler" ? words.dropFirst(2).joined(separator: " ") : words.dropFirst(3).joined()
        let action = rest.split(separator: " ", maxSplits: 1).map(String.init)
        self.action = action.first ?? ""
        value = action.count > 1 ? action[1] : ""
        self.journal = journal
        self.clock = clock
    }

    func add(to app: Application) {
        switch kind {
        case "filter": app.filter(self)
        case "before": app.before(self)
        case "after": app.after(self)
        case "globalFilter": app.globalFilter(self)
        case "globalBefore": app.globalBefore(self)
        case "globalAfter": app.globalAfter(self)
        case "rpcFilter": app.rpcFilter(self)
        case "rpcBefore": app.rpcBefore(self)
        case "rpcAfter": app.rpcAfter(self)
        case "errorHandler": app.errorHandler = { error, _ in self.handle(error) }
        case "globalErrorHandler": app.globalErrorHandler = { error, _ in self.handle(error) }
        case "rpcErrorHandler": app.rpcErrorHandler = { error, _ in self.handle(error) }
        case "handler": break
        default: Issue.record("no such kind: \(kind)")
        }
    }

    func install(into application: Application) {}

    func before(_ request: Request) async throws {
        journal.note("\(name) before")
        try await act(nil)
    }

    func before(_ request: RPCRequest) async throws {
        journal.note("\(name) before \(request.server)")
        try await act(request)
    }

    func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        journal.note("\(name) after \(Self.text(outcome))")
        return replaced(outcome)
    }

    func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome {
        journal.note("\(name) after \(request.server) \(Self.text(outcome))")
        return replaced(outcome)
    }

    func act(_ request: RPCRequest?) async throws {
        switch action {
        case "refuses", "throws": throw Fault(Int(value) ?? 0)
        case "hangs": await clock.sleep(for: .seconds(3600))
        case "redirects": request?.server = ServerID(value)
        case "rewrites": request?.payload = Array(value.utf8)
        default: break
        }
    }

    private func handle(_ error: any Error) -> Outcome {
        journal.note("\(name) error \(error)")
        return replaced(.failure(error))
    }

    private func replaced(_ outcome: Outcome) -> Outcome {
        guard action == "replaces" else { return outcome }
        return Int(value).map { .failure(Fault($0)) } ?? .success(Array(value.utf8))
    }

    private static func text(_ outcome: Outcome) -> String {
        switch outcome {
        case .success([]): "{}"
        case .success(let bytes): String(decoding: bytes, as: UTF8.self)
        case .failure(let fault as Fault) where fault.body != nil:
            String(decoding: fault.reply.encoded(), as: UTF8.self)
        case .failure(let error): "\(error)"
        }
    }
}
