// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloWire
import Testing

@testable import PomeloConnectors

/// The state machine of who has not acknowledged, alone.
@Suite struct UnprovedPeerTests {
    private func receive(_ peer: inout UnprovedPeer, _ type: PacketType, _ size: Int, _ body: Bytes = [])
        -> UnprovedPeer.Action
    { peer.receive(type, body.span, datagram: size) }

    @Test func oneAnswerForEachHandshakeAndNoneLongerThanTheCredit() {
        var peer = UnprovedPeer()
        let answer = Bytes(repeating: 1, count: 50)
        #expect(receive(&peer, .handshakeAck, 4) == .ignore)
        #expect(receive(&peer, .handshake, 20) == .judge)
        #expect(receive(&peer, .handshake, 20) == .wait)
        #expect(peer.judged(answer) == .withhold)
        #expect(receive(&peer, .handshakeAck, 4) == .ignore, "it was not answered yet")
        #expect(receive(&peer, .data, 1) == .ignore)
        #expect(receive(&peer, .handshake, 20) == .answer(answer))
        #expect(peer.credit == 19)
        #expect(receive(&peer, .handshake, 20) == .withhold)
        #expect(receive(&peer, .handshakeAck, 4) == .open)
    }

    @Test func aRefusalIsGivenOnceIfAtAll() {
        var peer = UnprovedPeer()
        #expect(receive(&peer, .handshake, 10) == .judge)
        #expect(peer.refused(Bytes(repeating: 1, count: 16)) == .withhold)
        #expect(receive(&peer, .handshake, 10) == .judge)
        #expect(peer.refused(Bytes(repeating: 1, count: 16)) == .answer(Bytes(repeating: 1, count: 16)))
    }

    @Test func headsSayWhatADatagramIsFor() throws {
        func head(_ bytes: Bytes) -> (PacketType, Range<Int>)? {
            DatagramHead(bytes.span, maxBodyBytes: 100).map { ($0.first, $0.body) }
        }
        #expect(try #require(head(Sample.handshake)) == (.handshake, 4..<72))
        #expect(try #require(head(Sample.ack + Sample.heartbeat)) == (.handshakeAck, 4..<4))
        let bad: [Bytes] = [
            [], [1], [1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [6, 0, 0, 0], [4, 0, 0, 0, 1], [5, 0, 0, 0],
            Sample.ack + [5, 0, 0, 0], [4, 0, 0, 101] + Bytes(repeating: 0, count: 101), [4, 255, 255, 255],
        ]
        for bytes in bad { #expect(head(bytes) == nil, "\(bytes)") }
    }
}
