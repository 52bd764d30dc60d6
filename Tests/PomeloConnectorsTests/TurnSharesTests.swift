// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloConnectors
@testable import PomeloCore

/// However many clients send as much as they can, a turn is no longer, and everybody comes to it.
@Suite struct TurnSharesTests {
    /// More than find room in one turn, even with the least share each.
    private static let busy = 2 * TurnShares.ofAll / TurnShares.least
    private static let each = 400

    /// Clients of one connector, at work over TCP.
    @Loop private final class Crowd {
        let host = FakeHost()
        let port: ClientPort
        /// How many notifies of each were heard.
        private(set) var heard: [SessionID: Int] = [:]

        init() throws {
            let (clock, logger) = (ManualClock(), Logger(label: "test"))
            var options = HybridOptions()
            options.limits.compression.isOn = true
            let shared = try HybridProtocol(options, clock: clock, logger: logger)
            port = ClientPort(shared.options.limits, [shared], host: host, clock: clock, logger: logger)
            host.onMessage = { [weak self] _, session in self?.heard[session.id, default: 0] += 1 }
        }

        func join() -> ScriptedStream {
            let stream = ScriptedStream()
            port.accept(stream)
            stream.feed(Sample.handshake + Sample.ack)
            return stream
        }

        /// Over WebSocket, with permessage-deflate.
        func joinCompressed() -> ScriptedStream {
            let stream = ScriptedStream()
            port.accept(stream)
            stream.feed(CompressionTests.upgrade("permessage-deflate"))
            for package in [Sample.handshake, Sample.ack] {
                stream.feed(CompressionTests.frame(package, compressed: false))
            }
            return stream
        }

        /// A crowd that says far more than a turn holds.
        static func flooding() throws -> Crowd {
            let crowd = try Crowd()
            for _ in 0..<TurnSharesTests.busy { crowd.join().feed(TurnSharesTests.notifies(TurnSharesTests.each)) }
            return crowd
        }

        /// Does something in the first turn in which so many have been heard; a task might come turns later, among
        /// others.
        func when(heard count: Int, _ body: @escaping @Loop () -> Void) {
            EventLoop.shared.inNextTurn {
                if self.host.messages.count >= count { body() } else { self.when(heard: count, body) }
            }
        }

        /// Goes on until so many were heard.
        func hear(_ count: Int) async {
            await withCheckedContinuation { heard in when(heard: count) { heard.resume() } }
        }
    }

    /// Notifies that tell their place.
    private static func notifies(_ count: Int) -> Bytes {
        var bytes = Bytes()
        for number in 0..<count {
            let message: Bytes = [2, 5] + Bytes("a.b.c".utf8) + Bytes("\(number)".utf8)
            bytes += [4, 0, 0, UInt8(message.count)] + message
        }
        return bytes
    }

    @Test @Loop func aTurnIsNoLongerWhenMoreAreBusy() async throws {
        let crowd = try Crowd.flooding()
        // Handshake and acknowledgement are two of what each may say at once.
        #expect(crowd.heard.count == Self.busy && crowd.heard.values.allSatisfy { $0 >= TurnShares.least - 2 })
        #expect(crowd.host.messages.count <= TurnShares.ofAll + Self.busy * TurnShares.least)
        let probe = TurnProbe(crowd.host, until: Self.busy * Self.each)
        await crowd.hear(Self.busy * Self.each)
        #expect((1..<TurnShares.ofAll + TurnShares.least).contains(probe.largest), "\(probe.largest)")
        #expect(crowd.heard.values.allSatisfy { $0 == Self.each })
    }

    /// A message of a kilobyte may be a megabyte of work, and each of many clients may say one at the same moment.
    @Test(arguments: [false, true])
    @Loop func aTurnInflatesWhatItHasRoomFor(_ bodies: Bool) async throws {
        let clients = 8
        let message = [2, 5] + Bytes("a.b.c".utf8) + Bytes(repeating: 0x20, count: 900_000)
        let frame = bodies ? try Self.compressedBody() : try Self.compressedMessage(message)
        let crowd = try Crowd()
        let streams = (0..<clients).map { _ in bodies ? crowd.join() : crowd.joinCompressed() }
        for stream in streams { stream.feed(frame) }
        #expect(crowd.host.messages.count == 1, "the turn has no room for another")
        let innocent = crowd.join()
        innocent.feed(Self.notifies(2))
        #expect(crowd.host.messages.count == 3, "whoever says little is heard at once")
        let probe = TurnProbe(crowd.host, until: clients + 2)
        await crowd.hear(clients + 2)
        #expect(probe.largest == 1)
        #expect(crowd.host.messages.filter { $0.body.count >= 900_000 }.count == clients)
        await until("all are read again") { streams.allSatisfy { $0.reading } }
        #expect(crowd.port.statistics.heldBytes == 0)
        let small = bodies ? Self.notifies(1) : CompressionTests.frame(Self.notifies(1), compressed: false)
        for stream in streams { stream.feed(small) }
        #expect(crowd.host.messages.count == 2 * clients + 2, "and goes on after it")
        for stream in streams { stream.feed(frame) }
        for stream in streams { stream.end() }
        #expect(crowd.port.statistics.heldBytes == 0, "who is gone holds nothing")
    }

    /// A notify of 900 000 bytes with a body that the client has compressed.
    private static func compressedBody() throws -> Bytes {
        let body = try CompressedBody.made(of: Bytes(repeating: 0x20, count: 900_000))
        return CompressedBodyTests.package(body, isRequest: false)
    }

    /// A frame with a package that is a notify.
    private static func compressedMessage(_ message: Bytes) throws -> Bytes {
        let (high, middle, low) = (message.count >> 16, message.count >> 8 & 255, message.count & 255)
        let package = [4, UInt8(high), UInt8(middle), UInt8(low)] + message
        return CompressionTests.frame(try CompressionTests.deflated(package))
    }

    @Test @Loop func nobodyInTheRowIsPassedOver() async throws {
        let crowd = try Crowd.flooding()
        var looks = 0
        for share in stride(from: 0.2, to: 1, by: 0.2) {
            crowd.when(heard: Int(Double(Self.busy * Self.each) * share)) {
                looks += 1
                let (most, least) = (crowd.heard.values.max() ?? 0, crowd.heard.values.min() ?? 0)
                #expect(least < Self.each)
                // What they could say at once is what sets them apart.
                #expect(most - least <= TurnShares.ofOne + TurnShares.least, "\(least)...\(most)")
            }
        }
        await crowd.hear(Self.busy * Self.each)
        #expect(looks == 4)
    }

    @Test @Loop func whoSaysLittleIsHeardAtOnce() async throws {
        let crowd = try Crowd.flooding()
        var newcomer: SessionID?
        crowd.when(heard: Self.busy * Self.each / 4) {
            let innocent = crowd.join()
            guard let id = crowd.host.sessions.keys.max() else { return }
            newcomer = id
            innocent.feed(Self.notifies(TurnShares.least - 3))
            #expect(crowd.heard[id] == TurnShares.least - 3)
            #expect(innocent.reading)

            innocent.feed(Self.notifies(100))
            #expect(crowd.heard[id] ?? 0 < TurnShares.ofOne / 2, "the rest stands in the row")
            #expect(crowd.host.messages.count < Self.busy * Self.each, "in which the others still are")
        }
        let all = TurnShares.least - 3 + 100
        await crowd.hear(Self.busy * Self.each + all)
        #expect(crowd.heard[try #require(newcomer)] == all)
    }
}
