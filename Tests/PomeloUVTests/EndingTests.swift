// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

/// How streams end; the peer is a bare kernel socket where it must misbehave.
@Suite struct EndingTests {
    /// One way in which a stream ends.
    struct Way: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let expected: [StreamEnd]
        let act: @Loop @Sendable (any ByteStream, Recorder, RawSocket) async -> Void
    }

    static let lost: [StreamEnd] = [.failed("ECONNRESET"), .failed("EPIPE")]
    static let large = [UInt8](repeating: 7, count: 16 << 20)

    static let local = [
        Way(testDescription: "close", expected: [.closed]) { stream, _, _ in stream.close() },
        Way(testDescription: "close, twice", expected: [.closed]) { stream, _, _ in
            stream.close()
            stream.close()
        },
        Way(testDescription: "close inside a read", expected: [.closed]) { _, recorder, peer in
            recorder.onRead = { stream, _ in stream.close() }
            peer.send([1])
        },
        Way(testDescription: "close inside a drain", expected: [.closed]) { stream, recorder, _ in
            recorder.onDrain = { stream in stream.close() }
            stream.write([1])
        },
        Way(testDescription: "close with a full socket", expected: [.closed]) { stream, _, _ in
            stream.write(large)
            await turns(3)
            stream.close()
        },
        Way(testDescription: "closeAfterFlush, then the peer's end", expected: [.closed]) { stream, _, peer in
            stream.closeAfterFlush(within: .seconds(20))
            await turns(2)
            peer.close()
        },
        Way(testDescription: "closeAfterFlush twice, then close", expected: [.closed]) { stream, _, _ in
            stream.closeAfterFlush(within: .seconds(20))
            stream.closeAfterFlush(within: .seconds(20))
            stream.close()
        },
        Way(testDescription: "closeAfterFlush inside a read", expected: [.closed]) { _, recorder, peer in
            recorder.onRead = { stream, _ in stream.closeAfterFlush(within: .milliseconds(5)) }
            peer.send([1])
        },
        Way(testDescription: "closeAfterFlush, a peer that never reads", expected: [.closed]) {
            stream, _, _ in
            stream.write(large)
            stream.closeAfterFlush(within: .milliseconds(5))
        },
        Way(testDescription: "closeAfterFlush, a peer that never ends", expected: [.closed]) { stream, _, _ in
            stream.write([1])
            stream.closeAfterFlush(within: .milliseconds(5))
        },
    ]

    static let remote = [
        Way(testDescription: "the peer's FIN", expected: [.peerClosed]) { _, _, peer in peer.finish() },
        Way(testDescription: "the peer's close", expected: [.peerClosed]) { _, _, peer in peer.close() },
        Way(testDescription: "bytes, then FIN", expected: [.peerClosed]) { _, _, peer in
            peer.send([1, 2, 3])
            peer.finish()
        },
        Way(testDescription: "FIN in the turn of a write", expected: [.peerClosed]) { _, recorder, peer in
            recorder.onRead = { stream, _ in stream.write([1]) }
            peer.send([1])
            peer.finish()
        },
        Way(testDescription: "FIN of a peer that never reads", expected: [.closed]) { stream, _, peer in
            stream.write(large)
            peer.finish()
        },
        Way(testDescription: "the peer's RST", expected: lost) { _, _, peer in peer.reset() },
        Way(testDescription: "a write after the peer's RST", expected: lost) { stream, _, peer in
            stream.pauseReading()
            peer.reset()
            stream.write([1])
        },
        Way(testDescription: "RST with a full socket", expected: lost) { stream, _, peer in
            stream.write(large)
            await turns(3)
            peer.reset()
        },
        Way(testDescription: "RST during closeAfterFlush", expected: lost) { stream, _, peer in
            stream.write(large)
            stream.closeAfterFlush(within: .seconds(20))
            await turns(3)
            peer.reset()
        },
        Way(testDescription: "RST after everything was flushed", expected: [.closed]) { stream, _, peer in
            stream.closeAfterFlush(within: .seconds(20))
            await turns(3)
            peer.reset()
        },
        Way(testDescription: "FIN and close in one turn", expected: [.closed]) { stream, _, peer in
            peer.finish()
            stream.close()
        },
    ]

    @Test(arguments: local + remote) @Loop func endsExactlyOnceAndIsSilentAfterwards(way: Way) async throws {
        let recorder = Recorder()
        weak var released: (any ByteStream)?
        try await act(way, recorder)
        await until("released") { released == nil }
        #expect(recorder.ends.count == 1)
        #expect(way.expected.contains(try #require(recorder.ends.first)), "\(recorder.ends)")
        #expect(recorder.callsAfterEnd == 0)

        @Loop func act(_ way: Way, _ recorder: Recorder) async throws {
            let accepted = Journal<any ByteStream>()
            let listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
                accepted.note($0)
            }
            let peer = try RawSocket.connected(to: listener.localAddress.port)
            await until("accepted") { !accepted.entries.isEmpty }
            let newest = accepted.entries.popLast()
            let stream = try #require(newest)
            released = stream
            stream.delegate = recorder
            recorder.onEnd = { stream in
                #expect(stream.delegate == nil)
                stream.close()
                stream.write([9])
            }
            await way.act(stream, recorder, peer)
            await until("ended") { !recorder.ends.isEmpty }
            stream.write([9])
            stream.pauseReading()
            stream.resumeReading()
            stream.closeAfterFlush(within: .seconds(1))
            stream.close()
            #expect(stream.queuedBytes == 0)
            await turns(5)
            listener.close()
        }
    }

    @Test @Loop func closeAfterFlushDeliversEverythingThenTheEnd() async throws {
        try await withPair { pair in
            let bytes = seededBytes(8 << 20)
            pair.server.pauseReading()
            pair.client.write(bytes)
            pair.client.closeAfterFlush(within: .seconds(20))
            pair.client.write(Array("not sent".utf8))
            await turns(10)
            #expect(pair.clientSide.ends.isEmpty)
            pair.server.resumeReading()
            await until("the peer's end") { !pair.serverSide.ends.isEmpty }
            expectSame(pair.serverSide.bytes, bytes)
            #expect(pair.serverSide.ends == [.peerClosed])
            await until("this end") { !pair.clientSide.ends.isEmpty }
            #expect(pair.clientSide.ends == [.closed])
        }
    }

    /// A kernel that closes a socket with unread input resets it, which would destroy what is on its way.
    @Test @Loop func closeAfterFlushWithUnreadInputDoesNotReset() async throws {
        try await withPair { pair in
            pair.client.pauseReading()
            pair.server.write(seededBytes(200_000))
            await turns(5)
            // More than the peer's kernel takes while it does not read, so that the end finds bytes on their way.
            let farewell = seededBytes(2 << 20, seed: 2)
            pair.server.pauseReading()
            pair.client.write(farewell)
            pair.client.closeAfterFlush(within: .seconds(20))
            await turns(10)
            pair.server.resumeReading()
            await until("the peer's end") { !pair.serverSide.ends.isEmpty }
            expectSame(pair.serverSide.bytes, farewell)
            #expect(pair.serverSide.ends == [.peerClosed])
            #expect(pair.clientSide.bytes.isEmpty)
        }
    }

    @Test @Loop func closeDropsWhatIsQueued() async throws {
        try await withPair { pair in
            pair.server.pauseReading()
            pair.client.write(Self.large)
            await turns(3)
            pair.client.close()
            #expect(pair.client.queuedBytes == 0)
            await until("this end") { !pair.clientSide.ends.isEmpty }
            pair.server.resumeReading()
            await until("the peer's end") { !pair.serverSide.ends.isEmpty }
            #expect(pair.serverSide.bytes.count < Self.large.count)
        }
    }

    @Test @Loop func bytesBeforeTheEndAreDeliveredBeforeIt() async throws {
        try await withPair { pair in
            let seenAtEnd = Journal<Int>()
            pair.serverSide.onEnd = { _ in seenAtEnd.note(pair.serverSide.bytes.count) }
            pair.client.write(seededBytes(500_000))
            pair.client.closeAfterFlush(within: .seconds(20))
            await until("ended") { !seenAtEnd.entries.isEmpty }
            #expect(seenAtEnd.entries == [500_000])
        }
    }
}
