// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// A peer that has not acknowledged, in the table of those.
@Loop final class PendingPeer: PendingClient {
    /// What `sys.proof` adds to an answer.
    static let proofBytes = 27

    let remoteAddress: SocketAddress
    /// When it is forgotten.
    let deadline: UInt64
    let proof: Bytes
    var state: UnprovedPeer
    /// Whether it is in the table.
    var isPending = false
    var origin: Origin?
    /// Whether it ever was.
    var wasKept = false

    init(_ address: SocketAddress, deadline: UInt64, proof: Bytes) {
        remoteAddress = address
        self.deadline = deadline
        self.proof = proof
        state = UnprovedPeer(proof: proof)
    }
}

/// What is said to peers that may not be who they say.
extension UDPPort {
    /// A datagram of a peer that shakes hands.
    func greet(_ bytes: borrowing Span<UInt8>, _ head: DatagramHead, _ address: SocketAddress) {
        guard head.body.count <= options.maxBytesBeforeAck else {
            counts.malformed += 1
            return noteFault(.tooLarge, address)
        }
        let body = bytes.extracting(head.body)
        let peer = peers[address] ?? newPeer(address)
        let action = peer.state.receive(head.first, body, datagram: bytes.count)
        switch action {
        case .judge: judge(peer, body)
        case .open:
            drop(peer)
            open(address, with: bytes)
        case .ignore: counts.strays += 1
        case .answer, .withhold, .wait, .unproved: act(action, peer)
        }
    }

    /// A datagram of a peer that is no client and does not shake hands: one of before a restart, mostly.
    func stray(_ bytes: borrowing Span<UInt8>, _ head: DatagramHead, _ address: SocketAddress) {
        counts.strays += 1
        _ = peers[address]?.state.receive(head.first, bytes.extracting(head.body), datagram: bytes.count)
    }

    private func newPeer(_ address: SocketAddress) -> PendingPeer {
        let proof = options.requiresProof ? Bytes(random.instanceID().utf8) : []
        return PendingPeer(address, deadline: clock.deadline(after: options.handshakeTimeout), proof: proof)
    }

    private func judge(_ peer: PendingPeer, _ body: Span<UInt8>) {
        let address = peer.remoteAddress
        guard hasRoom || clients[address] != nil else { return refuse(address) }
        guard judging < options.maxPending else { return noteFault(.crowdedOut, address) }
        judging += 1
        shared.judge(body, unsendable) { [self] verdict in
            judging -= 1
            judged(peer, verdict)
        }
        // A hook takes its time.
        if peer.state.isJudging { keep(peer) }
    }

    private func judged(_ peer: PendingPeer, _ verdict: HybridProtocol.Verdict) {
        // It was forgotten meanwhile.
        if stopping || peer.wasKept && !peer.isPending { return }
        switch verdict {
        case .refusal(let answer, let fault):
            noteFault(fault, peer.remoteAddress)
            act(peer.state.refused(answer), peer)
            drop(peer)
        case .welcome(let welcome, _, _):
            guard let answer = complete(welcome, peer) else { return drop(peer) }
            if !peer.wasKept { keep(peer) }
            act(peer.state.judged(answer), peer)
        }
    }

    /// The answer with the peer's proof in it; nil when it does not fit a datagram.
    private func complete(_ welcome: Bytes, _ peer: PendingPeer) -> Bytes? {
        var answer = welcome
        if !peer.proof.isEmpty {
            do throws(WireError) {
                answer = try HandshakeProof.add(peer.proof, to: welcome)
            } catch {
                unsendable.write(["pomelo.message": "handshake answer", "error": "\(error)"])
                return nil
            }
        }
        return takes(answer.count, peer.remoteAddress) ? answer : nil
    }

    private func act(_ action: UnprovedPeer.Action, _ peer: PendingPeer) {
        switch action {
        case .answer(let answer): _ = send(answer, to: peer.remoteAddress)
        case .withhold: counts.withheld += 1
        case .unproved: counts.unproved += 1
        case .judge, .wait, .open, .ignore: break
        }
    }

    /// Whether a package of so many bytes has room in a datagram; counts those that have not.
    func takes(_ count: Int, _ address: SocketAddress) -> Bool {
        if count <= options.maxDatagramBytes { return true }
        counts.tooLong += 1
        tooLongLog.write(["pomelo.bytes": "\(count)", "pomelo.remote": "\(address)"])
        return false
    }

    // MARK: the table

    private func keep(_ peer: PendingPeer) {
        peer.wasKept = true
        peers[peer.remoteAddress] = peer
        for oldest in pending.add(peer) {
            crowdLog.write(["pomelo.remote": "\(oldest.remoteAddress)", "pomelo.pending": "\(pending.count)"])
            noteFault(.crowdedOut, oldest.remoteAddress)
            drop(oldest)
        }
        statistics.pending = pending.count
        sweep.note(peer.deadline)
    }

    private func drop(_ peer: PendingPeer) {
        pending.remove(peer)
        if peers[peer.remoteAddress] === peer { peers[peer.remoteAddress] = nil }
        statistics.pending = pending.count
    }

    /// Forgets who had time enough; returns when the next has.
    func forget(until now: UInt64) -> UInt64? {
        while let oldest = pending.oldest {
            guard oldest.deadline <= now else { return oldest.deadline }
            noteFault(.handshakeTimeout, oldest.remoteAddress)
            drop(oldest)
        }
        return nil
    }
}
