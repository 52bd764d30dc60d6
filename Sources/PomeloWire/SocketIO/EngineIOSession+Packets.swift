// SPDX-License-Identifier: MIT
import PomeloBytes

/// What the client's packets do, whichever way they came.
extension EngineIOSession {
    /// A packet of either layering.
    enum Inbound {
        case engine(EngineIOPacket)
        case zeroNine(SocketIO09Packet)
    }

    mutating func packets(in body: Span<UInt8>) throws(WireError) -> [Inbound] {
        var packets: [Inbound] = []
        if revision == .one {
            try SocketIO09Payload.decode(body, maxPackets: options.maxPacketsPerPost) {
                packets.append(.zeroNine($0))
                return true
            }
        } else {
            try decoder.decode(body) {
                packets.append(.engine($0))
                return true
            }
        }
        return packets
    }

    /// Takes one packet; it may end the session.
    mutating func take(_ packet: Inbound, _ actions: inout [Action], _ now: UInt64) {
        heard(now)
        switch packet {
        case .engine(let packet): take(packet, &actions, now)
        case .zeroNine(let packet):
            switch packet.kind {
            case .heartbeat, .noop: break
            default:
                do throws(WireError) {
                    receive(try packet.meaning, &actions)
                } catch {
                    receive(.foreign(.malformed), &actions)
                }
            }
        }
    }

    private mutating func take(_ packet: EngineIOPacket, _ actions: inout [Action], _ now: UInt64) {
        switch packet.kind {
        case .message:
            if packet.isBinary {
                actions.append(.receive(.foreign(.binary)))
            } else {
                receive(packet.data.span, &actions)
            }
        case .close: finish(.clientClosed, &actions)
        case .ping where revision == .four:
            answerPing(packet.data, &actions, now)
        case .pong where revision == .five: break
        case .ping, .pong: finish(.malformed, &actions)
        case .open, .upgrade, .noop: break
        }
    }

    /// Takes the data of a message packet, as ``take(_:_:_:)`` does the packet.
    mutating func take(message: Span<UInt8>, _ actions: inout [Action], _ now: UInt64) {
        heard(now)
        receive(message, &actions)
    }

    private mutating func receive(_ message: Span<UInt8>, _ actions: inout [Action]) {
        do throws(WireError) {
            receive(try SocketIOPacket(message, revision), &actions)
        } catch {
            receive(.foreign(.malformed), &actions)
        }
    }

    private mutating func receive(_ packet: SocketIOPacket, _ actions: inout [Action]) {
        // While the end waits to be fetched, nothing more is taken.
        if case .disconnect(namespace: "") = packet {
            finish(.clientClosed, &actions)
        } else if !isClosing {
            actions.append(.receive(packet))
        }
    }

    private mutating func answerPing(_ data: Bytes, _ actions: inout [Action], _ now: UInt64) {
        if isClosing { return }
        let pong = EngineIOPacket.encode(.pong, data)
        if case .webSocket(let number) = stage {
            actions.append(.send(number, pong))
        } else {
            // A client that asks again before it has fetched the answer gets one.
            queue.removeAll { packet in
                guard packet.bytes.first == pong[0] else { return false }
                queuedBytes &-= packet.bytes.count
                return true
            }
            enqueue(pong)
            flush(&actions, now)
        }
    }

    private mutating func heard(_ now: UInt64) {
        heardAt = now
        guard revision == .five, pingSentAt != nil, let interval = options.pingInterval else { return }
        pingSentAt = nil
        pingDueAt = now &+ interval
    }
}
