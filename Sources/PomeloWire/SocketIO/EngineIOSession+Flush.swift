// SPDX-License-Identifier: MIT
import PomeloBytes

/// The steps that several inputs share.
extension EngineIOSession {
    /// How many polls of an upgrade are answered with nothing at once; later ones wait a little.
    static let quickNoops = 4
    /// How long they wait, in nanoseconds; engine.io's own server looks as often.
    static let noopDelay: UInt64 = 100_000_000

    /// Gives what waits to the transport, as far as there is one.
    mutating func flush(_ actions: inout [Action], _ now: UInt64) {
        if case .webSocket(let number) = stage {
            for packet in queue { actions.append(.send(number, packet.bytes)) }
            queue = []
            queuedBytes = 0
            return
        }
        if let poll, !queue.isEmpty {
            let packets = Array(queue.prefix(EngineIOPayload.maxPackets))
            queue.removeFirst(packets.count)
            for packet in packets { queuedBytes &-= packet.bytes.count }
            answer(poll.number, packets, &actions)
            absentSince = now
        }
        switch stage {
        case .probing(_, isProbed: true, _):
            // The client waits for its poll to end before it changes over.
            if let poll, noops < Self.quickNoops || now >= poll.since &+ Self.noopDelay {
                noops &+= 1
                answer(poll.number, [], &actions)
            }
        case .closing:
            if queue.isEmpty { finish(.serverClosed, &actions) }
        default: break
        }
    }

    /// Answers a poll, with nothing when there are no packets.
    mutating func answer(_ number: Number, _ packets: [Packet], _ actions: inout [Action]) {
        poll = nil
        let noop = revision == .one ? SocketIO09Packet.noop : EngineIOPacket.noop
        let payload = EngineIOPayload(packets.isEmpty ? [noop] : packets.map(\.bytes), revision)
        if !packets.isEmpty { unwritten = (number, packets) }
        actions.append(.answer(number, payload))
    }

    /// Ends the session: whatever waits for an answer gets one.
    mutating func finish(_ reason: EndReason, _ actions: inout [Action]) {
        if let poll {
            let isTold = reason != .clientClosed && reason != .serverClosed
            let close = revision == .one ? SocketIOPacket.disconnected(.one) : EngineIOPacket.close
            answer(poll.number, isTold ? [Packet(bytes: close, topic: nil)] : [], &actions)
        }
        if let post { actions.append(.refuse(post, .badRequest)) }
        switch stage {
        case .webSocket(let number), .probing(let number, _, _): actions.append(.closeWebSocket(number))
        default: break
        }
        stage = .closed
        post = nil
        unwritten = nil
        queue = []
        queuedBytes = 0
        actions.append(.end(reason))
    }
}
