// SPDX-License-Identifier: MIT
package import PomeloLoop
import Testing

/// Two ends of one connection: `near` is looked at, `far` is whoever it talks to.
///
/// Neither has a delegate yet, for what is read begins with that.
@Loop package struct StreamPair {
    package let near: any ByteStream
    package let far: any ByteStream

    package init(near: any ByteStream, far: any ByteStream) {
        self.near = near
        self.far = far
    }
}

/// What every `ByteStream` promises, so that none is kinder than the kernel's.
///
/// Each case is given fresh ends by a world: of the kernel, in memory, encrypted, or with something else between.
@Loop package struct ByteStreamSuite {
    /// The promises.
    package enum Case: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case arrivesWholeInAnyPieces, pausedBeforeTheFirstByte, pausedInsideARead, pausedAndResumedInsideARead
        case pausedAgainBeforeAnythingCame, resumedInsideARead, whoHasPausedWritesOn, aNewDelegateReads
        case nobodyReadsWithoutADelegate, closedInsideARead, flushedAndClosedInsideARead, writtenInsideARead
        case closedInsideADrain, pausedInsideADrain, flushesEarlyInsideARead, endsOnce, theEndWaitsForWhoHasPaused
        case anAnswerToTheLastWordLeaves, everythingLeavesBeforeTheEnd, nothingIsQueuedAfterTheEnd
        case nothingIsKeptAfterTheEnd

        package var testDescription: String { rawValue }
    }

    let make: @Loop () async throws -> StreamPair

    package init(_ make: @escaping @Loop () async throws -> StreamPair) { self.make = make }

    package func run(_ name: Case) async throws {
        if name == .nothingIsKeptAfterTheEnd { return try await nothingIsKept() }
        let pair = try await make()
        let (near, far) = (StreamProbe(pair.near), StreamProbe(pair.far))
        switch name {
        case .arrivesWholeInAnyPieces: await whole(near, far)
        case .pausedBeforeTheFirstByte: await pausedFirst(near, far)
        case .pausedInsideARead: await pausedInside(near, far)
        case .pausedAndResumedInsideARead: await pausedAndResumed(near, far)
        case .pausedAgainBeforeAnythingCame: await pausedAgain(near, far)
        case .resumedInsideARead: await resumedInside(near, far)
        case .whoHasPausedWritesOn: await writesOn(near, far)
        case .aNewDelegateReads: await newDelegate(near, far)
        case .nobodyReadsWithoutADelegate: await noDelegate(near, far)
        case .closedInsideARead: await closedInside(near, far) { $0.close() }
        case .flushedAndClosedInsideARead: await closedInside(near, far) { $0.closeAfterFlush(within: .seconds(5)) }
        case .writtenInsideARead: await writtenInside(near, far)
        case .closedInsideADrain: await closedInDrain(near, far)
        case .pausedInsideADrain: await pausedInDrain(near, far)
        case .flushesEarlyInsideARead: await flushesEarly(near, far)
        case .endsOnce: await endsOnce(near, far)
        case .theEndWaitsForWhoHasPaused: await endWaits(near, far)
        case .anAnswerToTheLastWordLeaves: await lastAnswer(near, far)
        case .everythingLeavesBeforeTheEnd: await leavesBeforeTheEnd(near, far)
        case .nothingIsQueuedAfterTheEnd: await nothingQueued(near, far)
        case .nothingIsKeptAfterTheEnd: break
        }
        for end in [near, far] {
            #expect(end.breaches.isEmpty, "\(end === near ? "near" : "far"): \(end.breaches)")
            end.stream.close()
        }
        await until("both ends") { !near.ends.isEmpty && !far.ends.isEmpty }
        #expect(near.ends.count == 1 && far.ends.count == 1)
    }
}

/// Keeps what a stream brings, does what a case wants inside its calls, and notes every breach of the promises.
@Loop package final class StreamProbe: ByteStreamDelegate {
    package let stream: any ByteStream
    package var received: [UInt8] = []
    var reads = 0
    var drains = 0
    package private(set) var ends: [StreamEnd] = []
    package private(set) var breaches: [String] = []
    /// What this side has asked for, as it understands it.
    private(set) var paused = false
    private(set) var closed = false
    private var inside = false
    var onRead: (@Loop (StreamProbe) -> Void)?
    var onDrain: (@Loop (StreamProbe) -> Void)?

    package init(_ stream: any ByteStream, reads: Bool = true) {
        self.stream = stream
        if reads { stream.delegate = self }
    }

    package func pause() {
        paused = true
        outside { stream.pauseReading() }
    }

    package func resume() {
        paused = false
        outside { stream.resumeReading() }
    }

    func write(_ bytes: [UInt8]) { outside { stream.write(bytes) } }

    package func close() {
        closed = true
        outside { stream.close() }
    }

    package func closeAfterFlush(within deadline: Duration) {
        closed = true
        outside { stream.closeAfterFlush(within: deadline) }
    }

    func flushEarly() { outside { stream.flushEarly() } }

    /// A call into the stream, from which none must come back.
    private func outside(_ call: () -> Void) {
        let before = inside
        inside = true
        call()
        inside = before
    }

    private func note(_ what: String) {
        if inside { breaches.append("\(what) inside a call into the stream") }
        if !ends.isEmpty { breaches.append("\(what) after the end") }
    }

    package func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        note("bytes")
        if paused { breaches.append("\(bytes.count) bytes while it has paused") }
        if closed { breaches.append("\(bytes.count) bytes though it has closed") }
        if bytes.count == 0 { breaches.append("no bytes") }
        reads += 1
        unsafe bytes.withUnsafeBufferPointer { unsafe received.append(contentsOf: $0) }
        onRead?(self)
    }

    package func streamDidDrain(_ stream: any ByteStream) {
        note("a drain")
        drains += 1
        onDrain?(self)
    }

    package func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        note("the end")
        if stream.delegate != nil { breaches.append("it still holds its delegate") }
        ends.append(reason)
    }
}

/// Bytes that differ, so that a lost or doubled one shows.
func differing(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
