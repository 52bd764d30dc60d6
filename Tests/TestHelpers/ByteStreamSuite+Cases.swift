// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

extension ByteStreamSuite {
    /// Lets happen what needs no time, in the kernel too.
    private func settle() async {
        let wanted = EventLoop.shared.turns + 30
        while EventLoop.shared.turns < wanted { await SystemClock.shared.sleep(for: .zero) }
    }

    // MARK: reading

    func whole(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(200_000)
        var place = 0
        for size in [1, 10, 1000, 16_384, 16_385, 70_000, 95_836] + [1384] where place < bytes.count {
            let end = min(bytes.count, place + size)
            near.write(Array(bytes[place..<end]))
            far.write(Array(bytes[place..<end]))
            place = end
        }
        await until("all came") { near.received.count >= place && far.received.count >= place }
        #expect(near.received == Array(bytes[..<place]) && far.received == near.received)
    }

    /// Whatever there is to agree on before has to go on.
    func pausedFirst(_ near: StreamProbe, _ far: StreamProbe) async {
        near.pause()
        far.write([1, 2, 3])
        await settle()
        #expect(near.received.isEmpty)
        near.resume()
        await until("it came") { near.received == [1, 2, 3] }
    }

    func pausedInside(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(300_000)
        near.onRead = { $0.pause() }
        far.write(bytes)
        while near.received.count < bytes.count {
            let before = near.reads
            await until("one more read") { near.reads > before }
            await settle()
            guard near.reads == before + 1 else { break }
            near.resume()
        }
        #expect(near.received == bytes)
    }

    func pausedAndResumed(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(300_000)
        near.onRead = {
            $0.pause()
            $0.resume()
        }
        far.write(bytes)
        await until("all came") { near.received.count >= bytes.count }
        #expect(near.received == bytes)
    }

    func pausedAgain(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(100_000)
        near.onRead = { $0.pause() }
        far.write(bytes)
        await until("something came") { near.reads == 1 }
        for _ in 0..<3 {
            near.resume()
            near.pause()
            await settle()
            #expect(near.reads == 1)
        }
        near.onRead = nil
        near.resume()
        near.resume()
        await until("all came") { near.received.count >= bytes.count }
        #expect(near.received == bytes)
    }

    /// Who has not paused may say so, too.
    func resumedInside(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(100_000)
        near.onRead = { $0.resume() }
        far.write(bytes)
        await until("all came") { near.received.count >= bytes.count }
        #expect(near.received == bytes)
    }

    func writesOn(_ near: StreamProbe, _ far: StreamProbe) async {
        near.pause()
        near.write(differing(50_000))
        await until("it came") { far.received.count >= 50_000 }
        #expect(far.received == differing(50_000) && near.received.isEmpty)
    }

    // MARK: delegates

    func newDelegate(_ near: StreamProbe, _ far: StreamProbe) async {
        near.onRead = { $0.pause() }
        far.write(differing(1000))
        await until("something came") { near.reads == 1 }
        let next = StreamProbe(near.stream)
        far.write([7])
        await until("the rest came") { near.received.count + next.received.count >= 1001 }
        #expect(near.received + next.received == differing(1000) + [7])
        near.stream.delegate = near
        near.resume()
        #expect(next.breaches.isEmpty)
    }

    func noDelegate(_ near: StreamProbe, _ far: StreamProbe) async {
        far.write([1])
        await until("it is open") { near.received == [1] }
        near.stream.delegate = nil
        far.write(differing(1000))
        await settle()
        near.stream.delegate = near
        await until("it came") { near.received.count >= 1001 }
        #expect(near.received == [1] + differing(1000))
    }

    // MARK: calls inside calls

    func closedInside(
        _ near: StreamProbe, _ far: StreamProbe, _ close: @escaping @Loop (StreamProbe) -> Void
    ) async {
        near.onRead = close
        for size in [10, 60_000, 10] { far.write(differing(size)) }
        await until("the end") { !near.ends.isEmpty || !far.ends.isEmpty }
        await settle()
        #expect(near.reads == 1)
    }

    func writtenInside(_ near: StreamProbe, _ far: StreamProbe) async {
        let bytes = differing(100_000)
        var answered = 0
        near.onRead = { near in
            let fresh = Array(near.received[answered...])
            answered = near.received.count
            near.write(fresh)
        }
        for place in stride(from: 0, to: bytes.count, by: 1000) { far.write(Array(bytes[place..<place + 1000])) }
        await until("all came back") { far.received.count >= bytes.count }
        #expect(far.received == bytes)
    }

    func flushesEarly(_ near: StreamProbe, _ far: StreamProbe) async {
        near.onRead = { near in
            near.write([9])
            near.flushEarly()
            near.write([8])
        }
        far.write([1])
        await until("it came") { far.received.count >= 2 }
        #expect(Array(far.received.prefix(2)) == [9, 8])
    }

    func closedInDrain(_ near: StreamProbe, _ far: StreamProbe) async {
        near.onDrain = { if $0.stream.queuedBytes == 0 { $0.close() } }
        near.write([1])
        far.write(differing(1000))
        await until("the end") { !near.ends.isEmpty }
        #expect(near.ends == [.closed])
    }

    func pausedInDrain(_ near: StreamProbe, _ far: StreamProbe) async {
        near.onDrain = { $0.pause() }
        near.write([1])
        await until("it paused") { near.paused && far.received == [1] }
        far.write(differing(1000))
        await settle()
        near.onDrain = nil
        near.resume()
        await until("it came") { near.received == differing(1000) }
    }
}
