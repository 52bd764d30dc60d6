// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloConnectors

/// The network in memory keeps the promises of the kernel's, and breaks them when told to.
@Suite struct MemoryNetworkTests {
    @Loop struct Setting {
        let clock: ManualClock
        let network: MemoryNetwork
        let frontend: Frontend

        static func make(_ options: HybridOptions = HybridOptions()) async throws -> Setting {
            let clock = ManualClock()
            let network = MemoryNetwork(clock: clock, random: RandomSource(seed: 7))
            let frontend = try await Frontend.start(options, on: network.endpoint("server"), clock: clock)
            return Setting(clock: clock, network: network, frontend: frontend)
        }

        func client(_ transport: TestClient.Transport = .tcp) async throws -> TestClient {
            try await TestClient.connect(
                to: frontend.address, over: network.endpoint("client"), as: transport, clock: clock)
        }

        /// Lets everything happen that takes no time.
        func settle() async {
            for _ in 0..<50 { await Loop.yield() }
        }
    }

    @Test(arguments: TestClient.Transport.allCases)
    @Loop func aConversationInAnyPieces(_ transport: TestClient.Transport) async throws {
        for limit in [nil, 1, 3, 100] {
            let setting = try await Setting.make()
            setting.network.maxChunk = limit
            let client = try await setting.client(transport)
            try await client.handshake()
            #expect(try await client.request("a.b.c", ["x": 1]) == ["x": 1])
            try await client.leave()
            await setting.settle()
            #expect(setting.network.connectionCount == 0)
            #expect(setting.clock.pendingTimers == 0)
        }
    }

    /// The task of a test carries no executor preference: other jobs run between its look and its wait.
    @Test @Loop func whatComesBetweenTheLookAndTheWaitIsHeard() async throws {
        let setting = try await Setting.make()
        let client = try await setting.client()
        var looks = 0
        let done = Journal<String>()
        let rescue = Loop.spawn {
            // In real time: on its way back to the loop this task may come by a thread of Swift's.
            await until("it goes on") { !done.entries.isEmpty }
            if done.entries.isEmpty { setting.clock.advance(by: client.patience) }
        }
        try await client.wait(for: "the event") {
            looks += 1
            if looks == 1 { Loop.spawn { client.stream(ScriptedStream(), didEnd: .closed) } }
            return looks > 1 ? () : nil
        }
        done.note("done")
        await rescue.value
    }

    @Test @Loop func delaysTakeTheirTime() async throws {
        let setting = try await Setting.make()
        let client = try await setting.client()
        setting.network.setDelay(.milliseconds(30), from: "client", to: "server")
        setting.network.setDelay(.milliseconds(20), from: "server", to: "client")
        client.send(Sample.handshake)
        await setting.settle()
        setting.clock.advance(by: .milliseconds(49))
        await setting.settle()
        setting.clock.advance(by: .milliseconds(19))
        await setting.settle()
        #expect(client.handshakes.isEmpty)
        setting.clock.advance(by: .milliseconds(1))
        await setting.settle()
        #expect(client.handshakes.count == 1)
    }

    @Test @Loop func aPartitionHoldsBytesBackAndHealingDeliversThem() async throws {
        let setting = try await Setting.make()
        let client = try await setting.client()
        setting.network.partition("client", "server")
        client.send(Sample.handshake)
        await setting.settle()
        #expect(client.handshakes.isEmpty && client.end == nil)
        setting.network.heal("server", "client")
        await setting.settle()
        #expect(client.handshakes.count == 1)
    }

    @Test @Loop func aBlockedDirectionIsHalfOpen() async throws {
        let setting = try await Setting.make()
        let client = try await setting.client()
        setting.network.block(from: "server", to: "client")
        client.send(Sample.handshake + Sample.ack + Sample.echo1)
        await setting.settle()
        #expect(setting.frontend.host.messages.count == 1, "the server hears")
        #expect(client.received.isEmpty, "the client does not")
    }

    @Test @Loop func connectingAcrossAPartitionWaitsThenTimesOut() async throws {
        let setting = try await Setting.make()
        setting.network.partition("client", "server")
        let attempt = Task { @Loop @Sendable in
            do throws(NetworkError) {
                _ = try await setting.network.endpoint("client").connect(
                    to: setting.frontend.address, within: .seconds(2))
                return ""
            } catch {
                return error.code
            }
        }
        while setting.clock.pendingTimers == 0 { await Loop.yield() }
        setting.clock.advance(by: .seconds(2))
        #expect(await attempt.value == "ETIMEDOUT")
    }

    @Test @Loop func nobodyListening() async throws {
        let network = MemoryNetwork(clock: ManualClock())
        let error = await #expect(throws: NetworkError.self) {
            _ = try await network.endpoint("client").connect(
                to: SocketAddress(host: "127.0.0.1", port: 1), within: .seconds(1))
        }
        #expect(error?.code == "ECONNREFUSED")
    }

    @Test @Loop func aPortIsTakenOnce() async throws {
        let network = MemoryNetwork(clock: ManualClock())
        let address = SocketAddress(host: "127.0.0.1", port: 80)
        let first = try await network.endpoint("one").listen(on: address) { _ in }
        let error = await #expect(throws: NetworkError.self) {
            _ = try await network.endpoint("two").listen(on: address) { _ in }
        }
        #expect(error?.code == "EADDRINUSE")
        first.close()
        _ = try await network.endpoint("two").listen(on: address) { _ in }
    }

    @Test @Loop func resetsAndCrashesAreSeen() async throws {
        let setting = try await Setting.make()
        let first = try await setting.client()
        first.send(Sample.handshake)
        await setting.settle()
        setting.network.reset("client", "server")
        #expect(try await first.closed() == .failed("ECONNRESET"))
        await setting.settle()
        #expect(setting.frontend.host.ends == [.disconnected("connection failed: ECONNRESET")])

        let second = try await setting.client()
        second.send(Sample.handshake)
        await setting.settle()
        setting.network.crash("server")
        #expect(try await second.closed() == .failed("ECONNRESET"))
        #expect(setting.frontend.host.sessions.count == 1, "the dead are told nothing")
        await #expect(throws: NetworkError.self) { _ = try await setting.client() }
    }

    @Test @Loop func aReaderThatStopsHoldsTheWriterBack() async throws {
        let setting = try await Setting.make()
        let client = try await setting.client()
        try await client.handshake()
        await setting.settle()
        client.stopReading()
        let socket = try #require(setting.frontend.host.session?.socket)
        let message = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 300_000))
        #expect(socket.push(message))
        await setting.settle()
        #expect(socket.queuedBytes > 0 && socket.queuedBytes < 300_000)
        client.startReading()
        await setting.settle()
        #expect(socket.queuedBytes == 0)
        #expect(client.pushes.count == 1)
    }
}
