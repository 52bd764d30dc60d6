// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors
@testable import PomeloCore

/// No client costs more than its share of a turn, however much it sends at once; and nothing of it is lost.
@Suite struct BacklogTests {
    private static let route = "a.b.c"

    private static func notify(_ body: String) -> Bytes {
        let message: Bytes = [2, UInt8(route.utf8.count)] + Bytes(route.utf8) + Bytes(body.utf8)
        return [4, 0, 0, UInt8(message.count)] + message
    }

    /// Waits a few turns, and says how many messages they brought.
    @Loop private static func turn(_ wired: Wired) async -> Int {
        let before = wired.host.messages.count
        await SystemClock.shared.sleep(for: .zero)
        return wired.host.messages.count - before
    }

    /// How many messages the fullest turn of the loop brought, until there are so many.
    @Loop private static func waitForAll(_ count: Int, _ wired: Wired) async -> Int {
        let probe = TurnProbe(wired.host, until: count)
        for _ in 0..<10_000 where wired.host.messages.count < count { _ = await turn(wired) }
        return probe.largest
    }

    /// One message of a megabyte, 95 000 notifies: it comes in at once, and is worked off turn by turn.
    @Test @Loop func aMessageOfManyNotifiesIsWorkedOffInSharesOfATurn() async throws {
        let wired = try Wired()
        wired.workInFrames()
        let count = 1024 * 1024 / Self.notify("").count - 1
        wired.stream.feed(Sample.frame(Bytes((0..<count).map { _ in Self.notify("") }.joined())))
        #expect(wired.host.messages.count <= TurnShares.ofOne)
        #expect(!wired.stream.reading)
        let largest = await Self.waitForAll(count, wired)
        #expect(wired.host.messages.count == count)
        #expect((1...TurnShares.ofOne).contains(largest))
        while !wired.stream.reading { await Loop.yield() }
    }

    @Test(arguments: [false, true])
    @Loop func nothingIsLostOrReordered(inFrames: Bool) async throws {
        let wired = try Wired()
        if inFrames { wired.workInFrames() } else { wired.work() }
        var bytes: Bytes = []
        for part in 0..<5 {
            let packages = Bytes((0..<200).map { Self.notify("\(part * 200 + $0)") }.joined())
            bytes += inFrames ? Sample.frame(packages) : packages
        }
        // The last one arrives in two pieces, behind everything that waits.
        wired.stream.feed(Bytes(bytes.dropLast(3)))
        wired.stream.feed(Bytes(bytes.suffix(3)))
        _ = await Self.waitForAll(1000, wired)
        #expect(wired.host.messages.map { String(decoding: $0.body, as: UTF8.self) } == (0..<1000).map(String.init))
        while !wired.stream.reading { await Loop.yield() }
    }

    @Test @Loop func whatTheCoreDoesNotWantYetStaysUndecoded() async throws {
        let wired = try Wired()
        wired.workInFrames()
        wired.host.onMessage = { _, session in
            if wired.host.messages.count % 64 == 0 { session.socket.pauseReading() }
        }
        let count = 20_000
        wired.stream.feed(Sample.frame(Bytes((0..<count).map { _ in Self.notify("") }.joined())))
        for _ in 0..<40 { _ = await Self.turn(wired) }
        #expect(wired.host.messages.count == 64)
        let socket = try #require(wired.host.session?.socket)
        for round in 2...4 {
            socket.resumeReading()
            for _ in 0..<40 { _ = await Self.turn(wired) }
            #expect(wired.host.messages.count == 64 * round)
        }
        socket.close(kick: nil)
        socket.resumeReading()
        for _ in 0..<40 { _ = await Self.turn(wired) }
        #expect(wired.host.messages.count == 256, "what waits ends with its connection")
    }

    /// The time in which a request must be answered begins when it is read, also when it is held back then.
    @Test @Loop func aMessageThatWaitsKeepsItsTimeOfArrival() async throws {
        let wired = try Wired()
        wired.work()
        wired.host.onMessage = { _, session in session.socket.pauseReading() }
        let read = wired.clock.now
        wired.stream.feed(Sample.echo1 + Sample.echo2)
        wired.clock.advance(by: .seconds(5))
        try #require(wired.host.session?.socket).resumeReading()
        _ = await Self.waitForAll(2, wired)
        #expect(wired.host.messages.map(\.arrival) == [read, read])
    }

    @Test @Loop func aHeartbeatBehindWhatWaitsIsNotMissed() async throws {
        let wired = try Wired(HybridOptions(heartbeat: .seconds(3)))
        wired.work()
        wired.stream.feed(Bytes((0..<1000).map { _ in Self.notify("") }.joined()) + Sample.heartbeat)
        // No turn of the loop passes, as in a process that is stopped.
        wired.clock.advance(by: .seconds(7))
        #expect(wired.stream.closing == nil)
        _ = await Self.waitForAll(1000, wired)
        while !wired.stream.reading { await Loop.yield() }
        wired.clock.advance(by: .milliseconds(5_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.fault(.heartbeatTimeout) == 1)
    }

    /// Fragments of one byte make no package for a long time, and cost as much as packages.
    @Test @Loop func tinyFragmentsUseUpTheShareToo() async throws {
        let wired = try Wired()
        wired.workInFrames()
        var bytes = Bytes()
        var fragment = Sample.frame([0x20], .continuation)
        fragment[0] &= 0x7F
        var first = Sample.frame([0x20], .binary)
        first[0] &= 0x7F
        bytes += first
        while bytes.count < 64 * 1024 { bytes += fragment }
        wired.stream.feed(bytes)
        #expect(!wired.stream.reading, "16 KiB are a turn's share")
        while !wired.stream.reading { await Loop.yield() }
        #expect(wired.stream.closing == nil)
    }
}
