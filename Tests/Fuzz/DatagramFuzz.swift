// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloConnectors/UDP/DatagramHead.swift Sources/PomeloConnectors/UDP/UnprovedPeer.swift
// with: Sources/PomeloConnectors/Hybrid/HybridState.swift

/// A conversation: each datagram has its length before it; after some of them a handshake is judged.
///
/// The first byte says how long the answer is, the second whether there is a proof.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDatagrams(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    guard bytes.count >= 2 else { return 0 }
    let answer = Bytes(repeating: 1, count: Int(bytes[0]))
    let proof = bytes[1] % 2 == 0 ? [] : Bytes("0123456789abcdef".utf8)
    var talk = Talk(peer: UnprovedPeer(proof: proof), answer: answer, proof: proof)
    var place = 2
    while place < bytes.count {
        let size = Int(bytes[place])
        let end = min(place + 1 + size, bytes.count)
        talk.receive(Bytes(bytes[(place + 1)..<end]), judgesAt: size % 3)
        place = end
    }
    return 0
}

private struct Talk {
    var peer: UnprovedPeer
    let answer: Bytes
    let proof: Bytes
    var received = 0
    var sent = 0
    var judging = 0
    var state: HybridState?

    mutating func receive(_ datagram: Bytes, judgesAt turn: Int) {
        guard let head = DatagramHead(datagram.span, maxBodyBytes: 200) else { return }
        check(datagram, head)
        if state != nil { return work(datagram) }
        received += datagram.count
        switch peer.receive(head.first, datagram.span.extracting(head.body), datagram: datagram.count) {
        case .judge:
            precondition(judging == 0, "judged twice at once")
            judging = 1
            if turn == 0 { judge(accepts: true) }
            if turn == 1 { judge(accepts: false) }
        case .answer(let bytes): send(bytes)
        case .wait:
            precondition(judging == 1, "waits for nothing")
            judge(accepts: true)
        case .open:
            precondition(sent >= answer.count && head.first == .handshakeAck, "opened without an answer")
            precondition(proof.isEmpty || Bytes(datagram[head.body]) == proof, "opened without the proof")
            open()
            work(datagram)
        case .withhold: precondition(received - sent < answer.count, "withheld for nothing")
        case .unproved: precondition(!proof.isEmpty, "no proof was asked for")
        case .ignore: break
        }
        precondition(sent <= received && peer.credit == received - sent, "more is sent than came")
    }

    private mutating func judge(accepts: Bool) {
        judging = 0
        let action = accepts ? peer.judged(answer) : peer.refused(Bytes(repeating: 2, count: 16))
        if case .answer(let bytes) = action { send(bytes) }
    }

    private mutating func send(_ bytes: Bytes) {
        sent += bytes.count
        precondition(sent <= received, "an answer is longer than what came")
    }

    /// A head means that a frame's decoder takes all of it, so that nothing is read half.
    private func check(_ datagram: Bytes, _ head: DatagramHead) {
        var types: [PacketType] = []
        do throws(WireError) {
            let taken = try PacketDecoder.decodeFrame(datagram.span, maxBodyBytes: 200) { type, _, _ in
                types.append(type)
                return true
            }
            precondition(taken == datagram.count, "a part is left")
        } catch {
            preconditionFailure("it cannot be read")
        }
        precondition(types.first == head.first && !types.contains(.kick), "it is not what it seems")
    }

    private mutating func open() {
        var fresh = HybridState()
        _ = fresh.receive(.handshake, limit: .max)
        precondition(fresh.answered(accepted: true))
        state = fresh
    }

    /// A client's datagrams end nobody.
    private mutating func work(_ datagram: Bytes) {
        guard var current = state else { return }
        _ = try? PacketDecoder.decodeFrame(datagram.span, maxBodyBytes: 200) { type, _, _ in
            _ = current.receive(type, limit: .max)
            return true
        }
        precondition(current.phase == .working, "a datagram has ended a client")
        state = current
    }
}
