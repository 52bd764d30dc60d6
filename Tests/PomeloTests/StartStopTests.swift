// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloGlobalChannel
import PomeloStatus
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// Whole applications in this process, on real sockets, one after the other.
@Suite(.serialized) struct StartStopTests {
    private static let echo = Call<JSON, JSON>("connector.handler.echo")
    private static let never = Call<JSON, JSON>("connector.handler.never")

    /// One life: starts, serves a client, has a request under way that nobody answers, stops with the client there.
    @Loop private func life(_ clock: CountingClock) async throws -> Traces {
        let record = ServerRecord(
            id: "connector-1", type: "connector", port: 0, clientPort: 0, isFrontend: true)
        let network = UVNetwork()
        let app = try Application(
            Configuration(servers: [record]), id: record.id,
            world: World(clock: clock, random: RandomSource(), network: network, transport: TCPTransport()))
        let connector = HybridConnector(HybridOptions(heartbeat: .seconds(3)))
        app.connector = connector
        app.limits.drain = .milliseconds(10)
        let part = Part()
        try app.load(part)
        try app.use(Extra(part))
        try app.use(GlobalChannel(store: MemoryChannelStore(MemoryChannelStore.Entries())))
        try app.use(Status(store: MemoryStatusStore(MemoryStatusStore.Entries())))
        let handler = Answers(patience: Patience())
        try app.handle(handler)
        app.declare([Self.echo.route, Self.never.route])
        try await app.start()
        #expect(app.record.port != 0)
        let address = try #require(connector.localAddress)
        let client = try await TestClient.connect(to: address, over: network)
        try await client.handshake()
        #expect(try await client.request(Self.echo.route.text, ["n": 1])["n"] == 1)
        _ = try client.ask(Self.never.route.text, Array("{}".utf8))
        // Answered after the one that never is: both have arrived.
        _ = try await client.request(Self.echo.route.text)
        await app.stop()
        #expect(app.state == .stopped)
        _ = try await client.closed()
        client.close()
        handler.patience.end()
        return Traces(
            application: app, connector: connector, part: part, service: app.sessionService,
            channels: app.globalChannel, status: app.status)
    }

    @Test @Loop func aHundredApplicationsLeaveNothingBehind() async throws {
        let clock = CountingClock()
        // The first ones fill what is kept for good: caches, pools, metadata of types.
        for _ in 0..<20 { _ = try await life(clock) }
        let descriptors = try Self.descriptors()
        let memory = try Self.kilobytes()
        var traces: [Traces] = []
        for _ in 0..<100 { traces.append(try await life(clock)) }
        await until("no object is left") { traces.allSatisfy(\.left.isEmpty) }
        #expect(Set(traces.flatMap(\.left)) == [])
        try await until("no descriptor is left") { try Self.descriptors() <= descriptors }
        #expect(clock.pending == 0)
        traces = []
        // Twenty kilobytes a life would show; a life's buffers alone are more.
        if !Self.keepsFreedMemory {
            try await until("no memory is left") { try Self.kilobytes() - memory < 2000 }
        }
    }

    /// Under the address sanitizer, whose allocator gives little back.
    private static var keepsFreedMemory: Bool { unsafe dlsym(nil, "__asan_init") != nil }

    private static func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    /// Memory that is this process's own, in KiB.
    private static func kilobytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(Int(line.filter(\.isNumber)))
    }

    // MARK: parts

    @Loop private final class Traces {
        weak var application: Application?
        weak var connector: HybridConnector?
        weak var part: Part?
        weak var service: SessionService?
        weak var channels: GlobalChannelService?
        weak var status: StatusService?

        init(
            application: Application, connector: HybridConnector, part: Part, service: SessionService,
            channels: GlobalChannelService, status: StatusService
        ) {
            self.application = application
            self.connector = connector
            self.part = part
            self.service = service
            self.channels = channels
            self.status = status
        }

        /// What is still there.
        var left: [String] {
            let all: [AnyObject?] = [application, connector, part, service, channels, status]
            return all.compactMap { $0.map { "\(type(of: $0))" } }
        }
    }

    @Loop private final class Part: Component, EventListener {
        let name = "part"
        private(set) var closed: [UserID?] = []
        func closeSession(_ session: Session, _ end: SessionEnd) { closed.append(session.uid) }
    }

    private struct Extra: Plugin {
        let name = "extra"
        let part: Part

        init(_ part: Part) { self.part = part }

        func install(into application: Application, _: inout PluginOptions) throws {
            application.listen(part)
            application.setService(part)
            application.beforeShutdown { [weak application] in application?.enable("stopping") }
        }
    }

    private struct Answers: Handler {
        let patience: Patience

        var routes: [ServedRoute] {
            on(echo) { body, _ in body }
            on(never) { body, _ in
                await patience.wait()
                return body
            }
        }
    }
}

/// Where a handler waits that does not answer.
@Loop private final class Patience {
    private var waiting: [CheckedContinuation<Void, Never>] = []
    func wait() async { await withCheckedContinuation { waiting.append($0) } }
    func end() {
        for one in waiting { one.resume() }
        waiting = []
    }
}

/// The system's clock, with a count of the timers that have neither fired nor been cancelled.
@Loop private final class CountingClock: LoopClock {
    private var live: Set<TimerID> = []
    var pending: Int { live.count }
    var now: UInt64 { SystemClock.shared.now }
    var wallMilliseconds: Int64 { SystemClock.shared.wallMilliseconds }

    func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        let box = Box()
        let timer = SystemClock.shared.schedule(at: deadline) { [weak self] in
            if let timer = box.timer { self?.live.remove(timer) }
            action()
        }
        box.timer = timer
        live.insert(timer)
        return timer
    }

    func cancel(_ timer: TimerID) {
        live.remove(timer)
        SystemClock.shared.cancel(timer)
    }

    private final class Box {
        var timer: TimerID?
    }
}
