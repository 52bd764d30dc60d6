// SPDX-License-Identifier: MIT
//
// InProcess: requests through a connector and the core of one process, without sockets and without a second thread, so
// that CPU and allocations can be counted exactly. Reading order: InProcess, Loopback.
import CAllocations
import Glibc
import Pomelo

/// `InProcess <case> [count]` prints what one request costs.
@main struct InProcess {
    /// Requests that arrive in one turn of the loop.
    private static let batch = 32

    static func main() throws {
        EventLoop.choose(.manual(.fifo))
        let words = CommandLine.arguments.dropFirst()
        guard let name = words.first, let route = routes[name] else {
            throw Usage(description: "usage: InProcess \(routes.keys.sorted().joined(separator: "|")) [count]")
        }
        let count = Int(words.dropFirst().first ?? "") ?? 200_000
        EventLoop.shared.runTurn()
        try Loop.assumeIsolated { try run(route, count) }
    }

    /// What each case asks for.
    private static let routes = [
        "raw": "connector.entryHandler.echo",
        "waiting": "connector.entryHandler.echoWaiting",
        "typed": "connector.chatHandler.line",
        "filtered": "connector.chatHandler.send",
    ]

    @Loop private static func run(_ route: String, _ count: Int) throws {
        // 200 bytes with nine keys, an object, a list and an escape: a chat message as games send it.
        let body = #"{"id":1234,"from":"alice","target":"*","text":"see you at the \"old\" bridge in 5 minutes, "#
            + #"bring others","at":1700000000000,"tags":["lobby","eu-1"],"place":{"x":12.5,"y":-3.25},"urgent":true,"rank":7}"#
        let stream = try connect(filtered: route == routes["filtered"])
        let request = try Message.requestPacket(id: 7, route: route, body: Bytes(body.utf8))
        func serve(_ count: Int) throws {
            let before = stream.packets
            for _ in 0..<count / batch {
                for _ in 0..<batch { stream.receive(request) }
                EventLoop.shared.runTurn()
            }
            guard stream.packets - before >= count / batch * batch else { throw Usage(description: "answers are missing") }
        }
        try serve(count / 10)
        let allocated = allocations()
        let start = clock()
        try serve(count)
        let nanoseconds = Double(clock() - start) * 1000 / Double(count)
        let each = Double(allocations() - allocated) / Double(count)
        print("cpu_ns=\(Int(nanoseconds.rounded())) allocations=\((each * 100).rounded() / 100)")
    }

    /// A client that has shaken hands with a server that runs.
    @Loop private static func connect(filtered: Bool) throws -> LoopbackStream {
        let record = ServerRecord(id: "connector-1", type: "connector", port: 4050, clientPort: 3050, isFrontend: true)
        let network = LoopbackNetwork()
        let app = try Application(
            Configuration(servers: [record]), id: record.id,
            world: World(clock: SystemClock.shared, random: RandomSource(), network: network, transport: NoTransport()))
        app.connector = HybridConnector(HybridOptions(heartbeat: .seconds(600)))
        try app.handle(ChatHandler())
        if filtered {
            app.filter(Stamp())
            app.filter(Guard())
        }
        var failure: (any Error)?
        Loop.spawn {
            do { try await app.start() } catch { failure = error }
        }
        EventLoop.shared.runUntilIdle()
        if let failure { throw failure }
        let hello = #"{"sys":{"type":"benchmark","version":"1"}}"#
        let stream = network.connect()
        for packet in [try Packet.encode(.handshake, Bytes(hello.utf8)), try Packet.encode(.handshakeAck, [])] {
            stream.receive(packet)
            EventLoop.shared.runUntilIdle()
        }
        return stream
    }
}

struct Usage: Error, CustomStringConvertible { let description: String }

/// What a chat server answers.
struct ChatHandler: Handler {
    struct Line: Body {
        struct Place: Body {
            var x: Double
            var y: Double
        }

        var id: Int
        var from: String
        var target: String
        var text: String
        var at: Int
        var tags: [String]
        var place: Place
        var urgent: Bool
        var rank: Int
    }

    struct Said: Body { var code = 200 }

    var routes: [ServedRoute] {
        on(raw: "connector.entryHandler.echo") { body, _ in body }
        on(raw: "connector.entryHandler.echoWaiting") { (body, _) async in body }
        on(Call<Line, Line>("connector.chatHandler.line")) { line, _ in line }
        on(Call<Line, Said>("connector.chatHandler.send")) { line, _ in
            guard !line.text.isEmpty else { throw Fault(400) }
            return Said()
        }
    }
}

/// A filter that leaves a note and looks at it afterwards.
struct Stamp: Filter {
    func before(_ request: Request) async throws { request.notes["began"] = .int(1) }
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        request.notes["began"] == nil ? .failure(Fault(500)) : outcome
    }
}

/// A filter that looks at the session.
struct Guard: Filter {
    func before(_ request: Request) async throws {
        if request.session.get("banned") != nil { throw Fault(403) }
    }
}
