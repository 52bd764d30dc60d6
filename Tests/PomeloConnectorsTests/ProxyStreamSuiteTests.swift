// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloConnectors

/// A stream behind a proxy keeps the promises of every other.
@Loop @Suite struct ProxyStreamSuiteTests {
    @Test(arguments: ByteStreamSuite.Case.allCases, [false, true])
    func behindAProxy(_ name: ByteStreamSuite.Case, _ hasHeader: Bool) async throws {
        try await ByteStreamSuite {
            let network = UVNetwork()
            let accepted = Journal<any ByteStream>()
            let listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
                accepted.note($0)
            }
            let far = try await network.connect(to: listener.localAddress, within: .seconds(20))
            try await eventually("the connection is accepted") { !accepted.entries.isEmpty }
            listener.close()
            if hasHeader { far.write(Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".utf8)) }
            return StreamPair(near: ProxyPreface(accepted.entries[0], isRequired: hasHeader), far: far)
        }.run(name)
    }

    @Loop final class Owner: ProxyPrefaceOwner {
        var ended: (@Loop () -> Void)?
        func prefaceEnded() { ended?() }
        func prefaceFailed() {}
    }

    /// The header and the first words in one breath, and somebody has yet to be asked about the client.
    @Test(arguments: ["PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nword", "word"])
    func whoPausesWhenTheClientIsKnownGetsNothing(_ words: String) async throws {
        let below = ScriptedStream()
        let preface = ProxyPreface(below, isRequired: false)
        let owner = Owner()
        preface.owner = owner
        let user = StreamProbe(preface)
        owner.ended = { user.pause() }
        below.feed(Bytes(words.utf8))
        #expect(user.received.isEmpty && user.breaches.isEmpty)
        user.resume()
        await until("they came") { user.received == Bytes("word".utf8) }
        below.end()
        #expect(user.ends.count == 1 && user.breaches.isEmpty)
    }
}
