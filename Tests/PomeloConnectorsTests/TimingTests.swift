// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

@Suite struct TimingTests {
    private func heartbeats(_ change: (inout HybridOptions) -> Void = { _ in }) -> HybridOptions {
        var options = HybridOptions(heartbeat: .seconds(3))
        change(&options)
        return options
    }

    @Test @Loop func eachHeartbeatIsAnsweredAndExtendsTheTimeout() throws {
        let wired = try Wired(heartbeats())
        wired.stream.feed(Sample.handshake)
        #expect(wired.stream.taken() == Sample.welcomeHeartbeat3)
        wired.stream.feed(Sample.ack)
        #expect(wired.stream.taken() == Sample.heartbeat, "the first one comes from the server")
        for _ in 0..<5 {
            wired.clock.advance(by: .milliseconds(5_900))
            wired.stream.feed(Sample.heartbeat)
            #expect(wired.stream.taken() == Sample.heartbeat)
        }
        wired.clock.advance(by: .milliseconds(5_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.stream.flushed)
        #expect(wired.host.ends == [.disconnected("heartbeatTimeout")])
        #expect(wired.stream.taken() == [], "no kick")
    }

    @Test @Loop func dataIsNoSignOfLifeUnlessSaid() throws {
        for resets in [false, true] {
            let wired = try Wired(heartbeats { $0.resetOnData = resets })
            wired.work()
            wired.clock.advance(by: .seconds(5))
            wired.stream.feed(Sample.echo1)
            wired.clock.advance(by: .seconds(5))
            #expect((wired.stream.closing == nil) == resets)
            wired.clock.advance(by: .seconds(1))
            #expect(wired.fault(.heartbeatTimeout) == 1)
        }
    }

    @Test @Loop func theTimeoutCanBeSet() throws {
        let wired = try Wired(heartbeats { $0.timeout = .seconds(20) })
        wired.work()
        wired.clock.advance(by: .milliseconds(19_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.stream.closing != nil)
    }

    @Test @Loop func aSessionThatIsNotReadIsNotTimedOut() throws {
        let wired = try Wired(heartbeats())
        wired.work()
        let session = try #require(wired.host.session)
        session.socket.pauseReading()
        wired.clock.advance(by: .seconds(60))
        #expect(wired.stream.closing == nil)
        session.socket.resumeReading()
        wired.clock.advance(by: .milliseconds(5_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.stream.closing != nil)
    }

    @Test @Loop func unconfiguredHeartbeatsAreNeitherAnsweredNorTimedNorCounted() throws {
        let wired = try Wired()
        wired.work()
        for _ in 0..<100 { wired.stream.feed(Sample.heartbeat) }
        #expect(wired.stream.taken() == [])
        #expect(wired.port.statistics.ignoredPackages == 0)
        #expect(wired.stream.closing == nil)
    }

    @Test @Loop func idleTCPIsClosedTrafficEitherWayKeepsIt() throws {
        let wired = try Wired()
        wired.work()
        wired.clock.advance(by: .seconds(80))
        wired.stream.feed(Sample.heartbeat)
        wired.clock.advance(by: .seconds(80))
        wired.stream.delegate?.streamDidDrain(wired.stream)
        wired.clock.advance(by: .milliseconds(89_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.fault(.idleTimeout) == 1)
    }

    @Test @Loop func idleWebSocketsAreAskedByPing() throws {
        let wired = try Wired()
        wired.workInFrames()
        for _ in 0..<10 {
            wired.clock.advance(by: .seconds(45))
            #expect(wired.stream.taken() == [0x89, 0])
            wired.stream.feed(Sample.frame([], .pong))
        }
        wired.clock.advance(by: .seconds(45))
        #expect(wired.stream.taken() == [0x89, 0])
        wired.clock.advance(by: .seconds(45))
        #expect(wired.fault(.idleTimeout) == 1)
        #expect(wired.stream.taken() == [0x88, 2, 3, 0xE8])
    }

    struct Slow: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let sent: Bytes
    }

    static let slow = [
        Slow(testDescription: "nothing", sent: []),
        Slow(testDescription: "half a method", sent: Bytes("GE".utf8)),
        Slow(testDescription: "half a head", sent: Bytes("GET / HTTP/1.1\r\n".utf8)),
        Slow(testDescription: "upgrade only", sent: Sample.upgrade),
        Slow(testDescription: "half a handshake", sent: Bytes(Sample.handshake[..<20])),
        Slow(testDescription: "no acknowledgement", sent: Sample.handshake),
    ]

    @Test(arguments: slow) @Loop func aHandshakeTakesTenSecondsAtMost(_ slow: Slow) throws {
        let wired = try Wired(heartbeats())
        wired.stream.feed(slow.sent)
        wired.clock.advance(by: .milliseconds(9_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.stream.closing != nil)
        #expect(wired.fault(.handshakeTimeout) == 1)
    }

    @Test @Loop func aHookThatTakesTooLongIsAnswered500() async throws {
        let gate = ManualClock()
        var options = HybridOptions()
        options.handshake = { _ in
            await gate.sleep(for: .seconds(1))
            return nil
        }
        let wired = try Wired(options)
        wired.stream.feed(Sample.handshake)
        while gate.pendingTimers == 0 { await Loop.yield() }
        wired.clock.advance(by: .seconds(10))
        #expect(wired.stream.taken() == Sample.refused500)
        #expect(wired.fault(.handshakeTimeout) == 1)
        gate.advance(by: .seconds(1))
        for _ in 0..<10 { await Loop.yield() }
        #expect(wired.stream.taken() == [], "the late verdict counts no more")
    }

    @Test @Loop func oneTimerPerConnection() throws {
        let wired = try Wired(heartbeats())
        #expect(wired.clock.pendingTimers == 1)
        wired.work()
        for _ in 0..<100 { wired.stream.feed(Sample.heartbeat) }
        #expect(wired.clock.pendingTimers == 1)
    }
}
