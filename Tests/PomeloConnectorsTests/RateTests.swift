// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Who says more than it may is told when to come back, and at last closed; the others notice nothing.
@Suite struct RateTests {
    private static let second: UInt64 = 1_000_000_000

    // MARK: the bucket

    @Test func aBucketGivesABurstThenItsRate() throws {
        let bucket = try #require(TokenBucket(perSecond: 10, burst: 5))
        var full: UInt64 = 0
        for number in 0..<5 {
            let taken = bucket.take(1, fullAt: full, now: Self.second)
            #expect(taken.wait == 0, "\(number)")
            full = taken.fullAt
        }
        #expect(bucket.take(1, fullAt: full, now: Self.second).wait == Self.second / 10)
        #expect(bucket.take(1, fullAt: full, now: Self.second + Self.second / 10).wait == 0)
        #expect(bucket.take(1, fullAt: full, now: 2 * Self.second).wait == 0)
    }

    @Test func aFullBucketGivesAnyNumberAndNobodyWaitsForLongerThanUntilItIsFull() throws {
        let bucket = try #require(TokenBucket(perSecond: 100, burst: 50))
        let taken = bucket.take(1000, fullAt: 0, now: Self.second)
        #expect(taken.wait == 0 && taken.fullAt == 11 * Self.second)
        #expect(bucket.take(1000, fullAt: taken.fullAt, now: 2 * Self.second).wait == 9 * Self.second)
        #expect(bucket.take(1, fullAt: taken.fullAt, now: 11 * Self.second).wait == 0)
    }

    @Test(arguments: [(1, 1), (1 << 30, 1 << 30), (1, 1 << 30), (1 << 30, 1)])
    func noNumberTraps(_ rate: Int, _ burst: Int) throws {
        let bucket = try #require(TokenBucket(perSecond: rate, burst: burst))
        for now in [0, 1, UInt64.max - 1, .max] {
            for tokens in [Int.min, 0, 1, 1 << 40, Int.max] {
                let once = bucket.take(tokens, fullAt: 0, now: now)
                _ = bucket.take(tokens, fullAt: once.fullAt, now: now)
                _ = bucket.take(tokens, fullAt: .max, now: now)
            }
        }
    }

    @Test func withoutARateThereIsNoLimit() {
        #expect(SharedRates(RateLimits()) == nil)
        #expect(TokenBucket(perSecond: 0, burst: 10) == nil)
        #expect(ClientLimits().rate == RateLimits(), "off unless it is said")
    }

    // MARK: clients

    private static func limited(_ change: (inout RateLimits) -> Void) -> HybridOptions {
        var options = HybridOptions()
        change(&options.limits.rate)
        return options
    }

    private static func notify(_ body: String = "") -> Bytes {
        let message: Bytes = [2, 5] + Bytes("a.b.c".utf8) + Bytes(body.utf8)
        return [4, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }

    @Test(arguments: [false, true]) @Loop func aRequestTooManyIsToldWhenToComeBack(_ inFrames: Bool) throws {
        let wired = try Wired(
            Self.limited {
                $0.messagesPerSecond = 2
                $0.messageBurst = 3
            })
        if inFrames { wired.workInFrames() } else { wired.work() }
        let echo = inFrames ? Sample.frame(Sample.echo1) : Sample.echo1
        for _ in 0..<3 { wired.stream.feed(echo) }
        #expect(wired.host.messages.count == 3)
        _ = wired.stream.taken()
        wired.stream.feed(echo)
        let refusal = Sample.data([4, 1] + Bytes("{\"code\":429,\"retryAfterMs\":500}".utf8))
        #expect(wired.stream.taken() == (inFrames ? WebSocketFrame.encode(.binary, refusal) : refusal))
        #expect(wired.host.messages.count == 3)
        #expect(wired.port.statistics.overRate == 1)
        wired.clock.advance(by: .milliseconds(499))
        wired.stream.feed(echo)
        #expect(wired.host.messages.count == 3)
        wired.clock.advance(by: .milliseconds(1))
        wired.stream.feed(echo)
        #expect(wired.host.messages.count == 4, "who waits as told is heard")
        #expect(wired.host.ends.isEmpty)
    }

    @Test @Loop func aNotifyTooManyIsDroppedAndCounted() throws {
        let wired = try Wired(Self.limited { $0.messagesPerSecond = 1 })
        wired.work()
        for _ in 0..<5 { wired.stream.feed(Self.notify()) }
        #expect(wired.host.messages.count == 2, "those of two seconds at once")
        #expect(wired.stream.taken().isEmpty)
        #expect(wired.port.statistics.overRate == 3)
    }

    @Test @Loop func bytesAreCountedByThemselves() throws {
        let wired = try Wired(
            Self.limited {
                $0.bytesPerSecond = 100
                $0.byteBurst = 200
            })
        wired.work()
        let hundred = Self.notify(String(repeating: "x", count: 95))
        wired.stream.feed(hundred + hundred + hundred)
        #expect(wired.host.messages.count == 2)
        wired.clock.advance(by: .seconds(1))
        wired.stream.feed(hundred + hundred)
        #expect(wired.host.messages.count == 3)
        wired.clock.advance(by: .seconds(2))
        wired.stream.feed(Self.notify(String(repeating: "x", count: 1000)))
        #expect(wired.host.messages.count == 4, "one that is longer passes when all is quiet")
        wired.clock.advance(by: .seconds(9))
        wired.stream.feed(Self.notify())
        #expect(wired.host.messages.count == 5, "by then it is paid for so far that a short one passes")
    }

    @Test @Loop func whoGoesOnIsClosedWithAFaultOfItsOwn() throws {
        let wired = try Wired(
            Self.limited {
                $0.messagesPerSecond = 1
                $0.messageBurst = 1
                $0.maxRefusals = 3
            })
        wired.workInFrames()
        for _ in 0..<4 { wired.stream.feed(Sample.frame(Self.notify())) }
        #expect(wired.host.ends.isEmpty, "three times are forgiven")
        wired.stream.feed(Sample.frame(Self.notify()) + Sample.frame(Self.notify()))
        #expect(wired.host.ends == [.disconnected("overRate")])
        #expect(wired.fault(.overRate) == 1)
        #expect(wired.port.statistics.overRate == 4)
        #expect(wired.stream.written.suffix(20).contains(0x03), "a close frame, 1008")
        wired.stream.end()
        #expect(wired.clock.pendingTimers == 0)
    }

    @Test @Loop func aBurstAfterQuietStartsTheCountOver() throws {
        let wired = try Wired(
            Self.limited {
                $0.messagesPerSecond = 1
                $0.messageBurst = 2
                $0.maxRefusals = 2
            })
        wired.work()
        for _ in 0..<20 {
            for _ in 0..<4 { wired.stream.feed(Self.notify()) }
            wired.clock.advance(by: .seconds(2))
        }
        #expect(wired.host.ends.isEmpty)
        #expect(wired.host.messages.count == 40 && wired.port.statistics.overRate == 40)
    }

    @Test @Loop func othersAreAnsweredAsBeforeWhileSomeFlood() async throws {
        let wired = try Wired(
            Self.limited {
                $0.messagesPerSecond = 5
                $0.maxRefusals = 1 << 20
            })
        wired.work()
        let floods = (0..<20).map { ScriptedStream(from: "198.51.100.\($0)") }
        for flood in floods {
            wired.port.accept(flood)
            flood.feed(Sample.handshake + Sample.ack)
            flood.feed((0..<500).flatMap { _ in Self.notify() })
        }
        wired.stream.feed(Sample.echo1)
        #expect(wired.stream.taken() == Sample.data([4, 1] + Bytes("{\"a\":1}".utf8)))
        // Another test of the process may hold the loop for long.
        try await eventually("all of it is read", within: .seconds(60)) {
            wired.port.statistics.overRate == 20 * (500 - 10)
        }
        #expect(wired.host.messages.count == 20 * 10 + 1, "of each what it may say at once")
        #expect(wired.host.ends.isEmpty)
    }

    @Test(arguments: [SocketIORevision.one, .four, .five])
    @Loop func clientsOfSocketIOAreCountedToo(_ revision: SocketIORevision) async throws {
        var options = SocketIOOptions()
        options.limits.rate.messagesPerSecond = 1
        options.limits.rate.maxRefusals = 2
        let wired = try SocketIOWired(options)
        let line = wired.line()
        let session = try await wired.session(revision, on: line)
        let packet = try revision.packet(1)
        _ = try line.post(session.path, revision.payload(packet, packet, packet))
        #expect(wired.host.messages.count == 2)
        #expect(wired.port.statistics.overRate == 1)
        let answer = try line.get(session.path).text
        #expect(answer.contains("retryAfterMs"), "\(answer)")
        _ = try line.post(session.path, revision.payload(packet, packet, packet))
        #expect(wired.fault(.overRate) == 1)
        await wired.settle()
        #expect(wired.host.ends == [.disconnected("overRate")])
        line.cut()
        wired.expectNothingLeft()
    }

    @Test @Loop func clientsOfACustomConnectorAreCountedToo() async throws {
        var options = CustomOptions<String>()
        options.rate.messagesPerSecond = 1
        options.rate.maxRefusals = 1
        let custom = try await Custom(Custom.plain, options).start()
        let socket = custom.connector.connect()
        socket.say("1 a.b.c x", "2 a.b.c x", "3 a.b.c x")
        await custom.turn()
        #expect(socket.sent == ["1  x", "2  x", "3  {\"code\":429,\"retryAfterMs\":1000}"])
        socket.say("4 a.b.c x")
        try await custom.wait(for: "the end") { custom.host.ends == [.disconnected("overRate")] }
        #expect(custom.adapter.statistics.overRate == 2 && custom.adapter.statistics.saidTooMuch == 1)
        await custom.adapter.stop()
    }

    @Test func theFileSaysThemAll() throws {
        let text = """
            {"messagesPerSecond": 20, "messageBurst": 60, "bytesPerSecond": 4096, "byteBurst": 8192, "maxRefusals": 9}
            """
        let json = try JSON.parse(Bytes(text.utf8))
        let rate = try HybridOptions(OptionReader(json, file: "connector.json")).limits.rate
        var expected = RateLimits()
        (expected.messagesPerSecond, expected.messageBurst) = (20, 60)
        (expected.bytesPerSecond, expected.byteBurst, expected.maxRefusals) = (4096, 8192, 9)
        #expect(rate == expected)
        #expect(try SocketIOOptions(OptionReader(json, file: "socketio.json")).limits.rate == expected)
        #expect(try CustomOptions<Bytes>(OptionReader(json, file: "customConnector.json")).rate == expected)
        #expect(throws: PomeloError.self) {
            try HybridOptions(OptionReader(["messagesPerSecond": -1], file: "connector.json"))
        }
    }
}
