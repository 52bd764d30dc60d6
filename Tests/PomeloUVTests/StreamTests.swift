// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@Suite struct StreamTests {
    @Test(arguments: ["127.0.0.1", "localhost", "::1"]) @Loop func echoes(host: String) async throws {
        if host == "::1", !FileManager.default.fileExists(atPath: "/proc/net/if_inet6") { return }
        try await withPair(on: host) { pair in
            pair.serverSide.onRead = { stream, bytes in stream.write(bytes) }
            let bytes = seededBytes(300_000)
            pair.client.write(bytes)
            await until("all came back") { pair.clientSide.bytes.count >= bytes.count }
            expectSame(pair.clientSide.bytes, bytes)
        }
    }

    @Test @Loop func addressesAgreeOnBothEnds() async throws {
        try await withPair { pair in
            #expect(pair.client.remoteAddress == pair.listener.localAddress)
            #expect(pair.client.remoteAddress == pair.server.localAddress)
            #expect(pair.client.localAddress == pair.server.remoteAddress)
            #expect(pair.client.localAddress.host == "127.0.0.1" && pair.client.localAddress.port > 0)
        }
    }

    @Test @Loop func everyChunkingOfEightBytesArrivesWhole() async throws {
        try await withPair { pair in
            let message = seededBytes(8)
            for cuts in 0..<128 {
                pair.serverSide.bytes = []
                for chunk in chunks(of: message, cuts: cuts) {
                    pair.client.write(chunk)
                    await turns(1)
                }
                await until("it arrived") { pair.serverSide.bytes.count >= 8 }
                #expect(pair.serverSide.bytes == message, "cuts \(cuts)")
            }
        }
    }

    @Test @Loop func everyChunkingOfEightBytesInOneTurnArrivesWhole() async throws {
        try await withPair { pair in
            let message = seededBytes(8)
            for cuts in 0..<128 {
                for chunk in chunks(of: message, cuts: cuts) { pair.client.write(chunk) }
            }
            await until("all arrived") { pair.serverSide.bytes.count >= 8 * 128 }
            #expect(pair.serverSide.bytes == (0..<128).flatMap { _ in message })
        }
    }

    @Test @Loop func writesOfOneTurnArriveTogether() async throws {
        try await withPair { pair in
            for number in 0..<100 { pair.client.write([UInt8](repeating: UInt8(number), count: 100)) }
            #expect(pair.client.queuedBytes == 10_000)
            await until("all arrived") { pair.serverSide.bytes.count >= 10_000 }
            #expect(pair.serverSide.reads == 1)
            #expect(pair.client.queuedBytes == 0)
            #expect(pair.clientSide.drains == 1)
        }
    }

    @Test @Loop func anEmptyWriteIsNothing() async throws {
        try await withPair { pair in
            pair.client.write([])
            await turns(2)
            #expect(pair.client.queuedBytes == 0 && pair.clientSide.drains == 0)
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    @Loop func aPeerThatDoesNotReadIsWaitedForAndThenGetsAll(seed: UInt64) async throws {
        try await withPair { pair in
            let bytes = seededBytes(8 << 20, seed: seed)
            pair.server.pauseReading()
            var random = SplitMix64(seed: seed)
            var next = 0
            while next < bytes.count {
                let end = min(bytes.count, next + Int(random.next() % 40_000) + 1)
                pair.client.write(Array(bytes[next..<end]))
                next = end
                if random.next() % 4 == 0 { await turns(1) }
            }
            await turns(20)
            #expect(pair.client.queuedBytes > 1 << 20)
            #expect(pair.clientSide.drains == 0 || pair.client.queuedBytes > 0)
            #expect(pair.serverSide.bytes.isEmpty)
            pair.server.resumeReading()
            await until("all arrived") { pair.serverSide.bytes.count >= bytes.count }
            expectSame(pair.serverSide.bytes, bytes)
            await until("drained") { pair.client.queuedBytes == 0 }
            #expect(pair.clientSide.drains > 0)
        }
    }

    @Test @Loop func aPausedStreamDeliversNothing() async throws {
        try await withPair { pair in
            pair.server.pauseReading()
            pair.client.write(Array("hidden".utf8))
            await turns(20)
            #expect(pair.serverSide.bytes.isEmpty)
            pair.server.resumeReading()
            await until("it arrived") { pair.serverSide.bytes == Array("hidden".utf8) }
        }
    }

    @Test @Loop func pausingInsideAReadStopsAfterIt() async throws {
        try await withPair { pair in
            let bytes = seededBytes(1 << 20)
            pair.serverSide.onRead = { stream, _ in stream.pauseReading() }
            pair.client.write(bytes)
            while pair.serverSide.bytes.count < bytes.count {
                let before = pair.serverSide.reads
                await until("one more read") { pair.serverSide.reads > before }
                await turns(2)
                guard pair.serverSide.reads == before + 1 else { break }
                pair.server.resumeReading()
            }
            expectSame(pair.serverSide.bytes, bytes)
        }
    }

    @Test @Loop func aDrainMayWriteMore() async throws {
        try await withPair { pair in
            var rounds = 0
            pair.clientSide.onDrain = { stream in
                rounds += 1
                if rounds < 1000 { stream.write([UInt8(rounds & 255)]) }
            }
            pair.client.write([0])
            await until("all arrived") { pair.serverSide.bytes.count >= 1000 }
            #expect(pair.serverSide.bytes == (0..<1000).map { UInt8($0 & 255) })
        }
    }

    /// What the kernel takes before the end of the turn counts as written, and the drain comes as always.
    @Test(arguments: [1, 7, 40]) @Loop func whatIsFlushedEarlyArrivesOnceAndInOrder(pieces: Int) async throws {
        try await withPair { pair in
            var drains = 0
            pair.clientSide.onDrain = { _ in drains += 1 }
            var all: [UInt8] = []
            for piece in 0..<pieces {
                let bytes = seededBytes(100_000, seed: UInt64(piece))
                pair.client.write(bytes)
                all += bytes
                let before = pair.client.queuedBytes
                pair.client.flushEarly()
                #expect(piece > 0 || pair.client.queuedBytes < before)
            }
            #expect(drains == 0)
            await until("all arrived") { pair.serverSide.bytes.count >= all.count && drains > 0 }
            expectSame(pair.serverSide.bytes, all)
            #expect(drains == 1 && pair.client.queuedBytes == 0)
        }
    }

    @Test @Loop func bothDirectionsAtOnce() async throws {
        try await withPair { pair in
            let there = seededBytes(4 << 20, seed: 5)
            let back = seededBytes(4 << 20, seed: 6)
            pair.client.write(there)
            pair.server.write(back)
            await until("all arrived") {
                pair.serverSide.bytes.count >= there.count && pair.clientSide.bytes.count >= back.count
            }
            expectSame(pair.serverSide.bytes, there)
            expectSame(pair.clientSide.bytes, back)
        }
    }

    /// Bit n of `cuts` cuts after byte n.
    private func chunks(of message: [UInt8], cuts: Int) -> [[UInt8]] {
        var result: [[UInt8]] = [[]]
        for (index, byte) in message.enumerated() {
            result[result.count - 1].append(byte)
            if cuts >> index & 1 == 1, index < message.count - 1 { result.append([]) }
        }
        return result
    }
}
