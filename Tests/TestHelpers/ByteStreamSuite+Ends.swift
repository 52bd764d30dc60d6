// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

/// How streams end.
extension ByteStreamSuite {
    private func open(_ near: StreamProbe, _ far: StreamProbe) async {
        near.write([0])
        far.write([0])
        await until("it is open") { near.received == [0] && far.received == [0] }
        (near.received, far.received) = ([], [])
    }

    func endsOnce(_ near: StreamProbe, _ far: StreamProbe) async {
        await open(near, far)
        near.close()
        near.close()
        near.closeAfterFlush(within: .seconds(1))
        near.write([1])
        near.resume()
        await until("both ends") { !near.ends.isEmpty && !far.ends.isEmpty }
        near.close()
        near.pause()
        near.resume()
        near.write([1])
        for _ in 0..<5 { await SystemClock.shared.sleep(for: .zero) }
        #expect(near.ends == [.closed] && far.ends == [.peerClosed])
    }

    /// Whoever has paused hears what was said before the end, and then the end.
    func endWaits(_ near: StreamProbe, _ far: StreamProbe) async {
        await open(near, far)
        near.pause()
        far.write(differing(20_000))
        far.closeAfterFlush(within: .seconds(20))
        for _ in 0..<30 { await SystemClock.shared.sleep(for: .zero) }
        #expect(near.ends.isEmpty && near.received.isEmpty)
        near.resume()
        await until("the end") { !near.ends.isEmpty }
        #expect(near.received == differing(20_000) && near.ends == [.peerClosed])
    }

    /// A word and the end in one breath: who answers the word has ended well, and not by a fault of its own.
    func lastAnswer(_ near: StreamProbe, _ far: StreamProbe) async {
        await open(near, far)
        near.onRead = { $0.write(differing(100)) }
        far.write([1])
        far.closeAfterFlush(within: .seconds(20))
        await until("the end") { !near.ends.isEmpty }
        #expect(near.received == [1] && near.ends == [.peerClosed])
    }

    func leavesBeforeTheEnd(_ near: StreamProbe, _ far: StreamProbe) async {
        await open(near, far)
        let bytes = differing(400_000)
        near.write(bytes)
        near.closeAfterFlush(within: .seconds(20))
        near.write([1])
        await until("the end") { !far.ends.isEmpty }
        #expect(far.received == bytes && far.ends == [.peerClosed])
    }

    func nothingQueued(_ near: StreamProbe, _ far: StreamProbe) async {
        far.pause()
        near.write(Array(repeating: 7, count: 16 << 20))
        await until("it waits") { near.stream.queuedBytes > 0 }
        near.close()
        #expect(near.stream.queuedBytes == 0)
        near.write([1])
        #expect(near.stream.queuedBytes == 0)
        await until("the end") { !near.ends.isEmpty }
        far.resume()
    }

    func nothingIsKept() async throws {
        weak var near: (any ByteStream)?
        weak var far: (any ByteStream)?
        weak var late: StreamProbe?
        do {
            let pair = try await make()
            (near, far) = (pair.near, pair.far)
            let (one, other) = (StreamProbe(pair.near), StreamProbe(pair.far))
            await open(one, other)
            one.close()
            await until("both ends") { !one.ends.isEmpty && !other.ends.isEmpty }
            // Who comes too late is told nothing, and is not held by it for ever.
            let comer = StreamProbe(pair.near)
            late = comer
            comer.stream.pauseReading()
        }
        await until("nothing is left") { near == nil && far == nil && late == nil }
    }
}
