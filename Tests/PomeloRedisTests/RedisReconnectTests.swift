// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

/// Second failures: during a connect, a handshake, a stop, and again after each reconnect.
@Suite(.serialized) struct RedisReconnectTests {
    @Test func aStopDuringAConnectClosesTheSocket() async {
        await #expect(processExitsWith: .success) {
            try await stopWhileConnecting()
            let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            for _ in 0..<10 { try await stopWhileConnecting() }
            #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count == before)
        }
    }

    @Test @Loop func aStopDuringAHandshakeClosesTheSocket() async throws {
        let server = try await ScriptedServer.start()
        server.greeting = "+OK\r\n"
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        connection.startInBackground()
        await until("it is shaking hands") { connection.isShakingHands && server.accepted == 1 }
        await connection.stop()
        #expect(!connection.isUp)
        await until("the server sees the end") { server.streams.allSatisfy { $0.queuedBytes == 0 } }
        server.close()
    }

    /// The pauses of a server that hangs up behind each handshake grow; a pause reset by every handshake stays short.
    @Test @Loop func theBackOffGrowsWhileEachConnectionIsLostAtOnce() async throws {
        let pauses = try await pausesOf { server in server.answer = "" }
        #expect(pauses.last(where: { $0 > .milliseconds(400) }) != nil, "\(pauses)")
        for (index, pause) in pauses.enumerated() {
            #expect(pause <= min(.milliseconds(50) * (1 << index), .seconds(2)), "\(pauses)")
        }
    }

    @Test @Loop func theBackOffGrowsWhileNoHandshakeSucceeds() async throws {
        let pauses = try await pausesOf { server in server.greeting = "" }
        #expect(pauses.last(where: { $0 > .milliseconds(400) }) != nil, "\(pauses)")
    }

    /// The pauses after eight losses in a row, by a clock that stands still in between.
    @Loop private func pausesOf(_ prepare: @Loop (ScriptedServer) -> Void) async throws -> [Duration] {
        let server = try await ScriptedServer.start()
        prepare(server)
        let clock = ManualClock()
        let connection = RedisConnection(
            server.configuration, locator: server.configuration.topology.locator(), name: "test",
            resolver: Resolver(), random: RandomSource(seed: 7), logger: quiet, clock: clock)
        connection.startInBackground()
        var pauses: [Duration] = []
        for round in 1...8 {
            await until("connection \(round)") { server.accepted == round && connection.isSettled }
            if connection.isUp {
                Loop.spawn {
                    _ = await failure { () throws(RedisError) in _ = try await connection.send(RedisCommand("PING")) }
                }
            }
            await until("pause \(round)") {
                !connection.isUp && !connection.isShakingHands && clock.nextDeadline != nil
            }
            guard let wake = clock.nextDeadline else { break }
            pauses.append(.nanoseconds(Int64(wake - clock.now)))
            clock.advance(to: wake)
        }
        await connection.stop()
        server.close()
        return pauses
    }

    /// Whoever is told that the connection is up may use it at once, and before whoever waits for the start.
    @Test @Loop func atAReturnObserversComeBeforeStartersAndCommandsAreAccepted() async throws {
        let server = try await ScriptedServer.start()
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        let order = Order()
        connection.observe { event in
            switch event {
            case .up(_, let reconnected):
                order.note("up \(reconnected) \(connection.isUp)")
                Loop.spawn {
                    let error = await failure { () throws(RedisError) in
                        _ = try await connection.send(RedisCommand("PING"))
                    }
                    order.note("command \(error == nil)")
                }
            case .down: order.note("down \(connection.isUp)")
            }
        }
        try await connection.start()
        order.note("started")
        await until("it was used") { order.entries.count == 3 }
        server.streams[0].close()
        await until("it is back and was used") { order.entries.count == 6 }
        #expect(order.entries.first == "up false true")
        #expect(Set(order.entries[1...2]) == ["started", "command true"])
        #expect(order.entries[3...] == ["down false", "up true true", "command true"])
        await connection.stop()
        server.close()
    }

    @Loop private final class Order {
        private(set) var entries: [String] = []
        func note(_ entry: String) { entries.append(entry) }
    }

    /// Commands under way fail before the loss is told, and none is accepted in between.
    @Test @Loop func atALossCommandsFailBeforeObserversAreTold() async throws {
        let server = try await ScriptedServer.start()
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        try await connection.start()
        let order = Order()
        connection.observe { if case .down = $0 { order.note("down") } }
        server.answer = ":1\r\n:2\r\n:3\r\n"
        Loop.spawn {
            let first = await failure { () throws(RedisError) in
                _ = try await connection.pipeline([RedisCommand("GET", "a")])
            }
            order.note("answered \(first == nil)")
            // At once, in the turn of the loss.
            let second = await failure { () throws(RedisError) in
                _ = try await connection.send(RedisCommand("GET", "b"))
            }
            order.note("refused \(second?.maybeExecuted == false)")
        }
        await until("all has happened") { order.entries.count == 3 }
        #expect(order.entries.first == "answered true" && order.entries.contains("refused true"))
        await connection.stop()
        server.close()
    }

    @Test @Loop func aHostWhoseFirstAddressIsABlackHoleIsReached() async throws {
        let hole = try BlackHole(at: try await TestPorts.next())
        let network = UVNetwork()
        let listener = try await network.listen(on: SocketAddress(host: "127.0.0.2", port: hole.port)) { stream in
            stream.delegate = Greeter()
        }
        let resolver = Resolver()
        resolver.hosts = ["two": "127.0.0.1 127.0.0.2"]
        var configuration = RedisConfiguration(host: "two", port: hole.port)
        configuration.connectTimeoutSeconds = 20
        let client = RedisClient(configuration, resolver: resolver, logger: quiet)
        let took = await seconds {
            #expect(await failure { () throws(RedisError) in try await client.start() } == nil)
        }
        #expect(took < 8)
        await client.stop()
        listener.close()
        hole.close()
    }

    /// Answers the handshake.
    @Loop private final class Greeter: ByteStreamDelegate {
        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            stream.write(Array(ScriptedServer.greeting(version: "7.0.15").utf8))
        }
        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {}
    }

    /// An address that answers but cannot serve, a replica for instance, does not keep the others from being tried.
    @Test @Loop func anAddressThatCannotServeIsTriedLast() async throws {
        let replica = try await ScriptedServer.start(at: try await TestPorts.next())
        replica.greeting = "+OK\r\n+PONG\r\n*1\r\n$5\r\nslave\r\n$0\r\n\r\n"
        let port = replica.configuration.port
        let listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.2", port: port)) { stream in
            stream.delegate = Greeter()
        }
        let resolver = Resolver()
        resolver.hosts = ["two": "127.0.0.1 127.0.0.2"]
        let connection = RedisConnection(
            RedisConfiguration(host: "two", port: port), name: "test", resolver: resolver, logger: quiet)
        try await connection.start(within: .seconds(20))
        #expect(replica.accepted == 1)
        await connection.stop()
        listener.close()
        replica.close()
    }
}

extension RedisConnection {
    /// Neither connecting nor shaking hands.
    fileprivate var isSettled: Bool { dial == nil && !isShakingHands }
}

/// Begins a connection that cannot come about, and stops it.
@Loop private func stopWhileConnecting() async throws {
    let hole = try BlackHole()
    var configuration = RedisConfiguration(host: "127.0.0.1", port: hole.port)
    configuration.connectTimeoutSeconds = 40
    let connection = RedisConnection(configuration, name: "test", logger: quiet)
    connection.startInBackground()
    await until("it connects") { connection.dial != nil }
    await Loop.yield()
    let took = await seconds { await connection.stop() }
    #expect(took < 20)
    hole.close()
    // The loop closes its handles in the next turn.
    await SystemClock.shared.sleep(for: .milliseconds(1))
}
